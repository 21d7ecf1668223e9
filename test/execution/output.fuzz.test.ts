/** Any bytes, cut anywhere: what is kept of a command's output depends on neither. */
import { createHash } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, type Readable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import fc from 'fast-check';
import { afterAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { LogPrinter } from '../../src/cli/log-printer.js';
import { printable } from '../../src/core/text.js';
import { type FromKeeper, listen, say } from '../../src/execution/protocol.js';
import { Sink } from '../../src/execution/sink.js';
import { cleanTail, logPieces, readTail } from '../../src/execution/tail.js';
import { notedGroups } from '../../src/execution/warden.js';

const RUNS = 10_000;
vi.setConfig({ testTimeout: 120_000 });

const root = mkdtempSync(join(tmpdir(), 'cape output fuzz '));
let dir: string;
let count = 0;
beforeEach(() => {
  dir = mkdtempSync(join(root, 'x'));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

const piece = fc.oneof(
  fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
  fc
    .constantFrom('ä', '🦊', '\0', '\r\n', '\r', '\n', '\u001b[31m', '\u009b', '\ufeff', 'line\n')
    .map((text) => Buffer.from(text)),
  fc.constantFrom([0xf0, 0x9f], [0xa6], [0xc3], [0xff, 0xfe], [0xed, 0xa0, 0x80]).map((bytes) => Buffer.from(bytes)),
);
const bytes = fc.array(piece, { maxLength: 12 }).map((parts) => Buffer.concat(parts));
/** Up to some thousand bytes: over head and several segments of the smallest log. */
const output = fc
  .tuple(bytes, fc.integer({ min: 1, max: 200 }), bytes)
  .map(([some, times, rest]) =>
    Buffer.concat([...Array.from({ length: times }, () => some), rest]).subarray(0, 12_000),
  );
const text = fc
  .array(fc.constantFrom('ä', '🦊', '€', 'plain', '\n', 'z\u0301', '中文'), { maxLength: 60 })
  .chain((parts) => fc.integer({ min: 1, max: 10 }).map((times) => parts.join('').repeat(times)));

/** The same bytes in chunks of these sizes, again and again. */
function chunked(all: Buffer, sizes: readonly number[]): Buffer[] {
  const chunks: Buffer[] = [];
  for (let at = 0, n = 0; at < all.length; n++) {
    const size = sizes[n % sizes.length]!;
    chunks.push(all.subarray(at, at + size));
    at += size;
  }
  return chunks;
}
const sizes = fc
  .array(fc.integer({ min: 1, max: 5000 }), { minLength: 1, maxLength: 4 })
  .filter((all) => Math.max(...all) > 1000);

async function sunk(
  all: Buffer,
  cuts: readonly number[],
  limit: number,
  tailBytes: number,
): Promise<{ sink: Sink; path: string }> {
  const path = join(dir, `${++count}.log`);
  const sink = new Sink(path, limit, tailBytes);
  for (const chunk of chunked(all, cuts)) {
    // The pump uses its memory again as soon as it is told that it may.
    const memory = Buffer.from(chunk);
    await new Promise<void>((done) => sink.write(memory, done));
    memory.fill(0x21);
  }
  sink.close();
  return { sink, path };
}

/** Compared instead of the bytes: vitest looks at each of them by itself. */
function digest({ offset, bytes }: { offset: number; bytes: Buffer }): string {
  return `${offset} ${bytes.length} ${createHash('sha1').update(bytes).digest('hex')}`;
}

/** Head and the newest two segments, from the rule alone; no output, no file. */
function model(all: Buffer, limit: number): { offset: number; bytes: Buffer }[] {
  if (all.length === 0) return [];
  const segment = Math.max(1024, Math.floor(limit / 4));
  const head = Math.max(1024, limit - 2 * segment);
  const segments = [];
  for (let at = head; at < all.length; at += segment)
    segments.push({ offset: at, bytes: all.subarray(at, at + segment) });
  return [{ offset: 0, bytes: all.subarray(0, head) }, ...segments.slice(-2)];
}

describe('any output', () => {
  it('is kept as its head and its newest segments, within the limit, however it was cut', async () => {
    await fc.assert(
      fc.asyncProperty(output, sizes, fc.constantFrom(4096, 5000, 8192), async (all, cuts, limit) => {
        const { sink, path } = await sunk(all, cuts, limit, 100);
        const pieces = await logPieces(path);
        const kept = pieces.map((one) => ({ offset: one.offset, bytes: readFileSync(one.path) }));
        for (const { path } of pieces) rmSync(path);
        expect(kept.map(digest)).toEqual(model(all, limit).map(digest));
        expect(pieces.reduce((sum, { size }) => sum + size, 0)).toBeLessThanOrEqual(limit);
        expect([sink.bytes, sink.lost, sink.error]).toEqual([all.length, 0, null]);
        expect(sink.tail()).toBe(cleanTail(all, 100));
      }),
      { numRuns: RUNS },
    );
  });

  it('has a tail that is clean text within its limit', () => {
    fc.assert(
      fc.property(output, fc.integer({ min: 0, max: 300 }), (all, limit) => {
        const tail = cleanTail(all, limit);
        expect(Buffer.byteLength(tail)).toBeLessThanOrEqual(limit);
        expect(tail).not.toContain('\0');
        expect(Buffer.from(tail).toString('utf8')).toBe(tail);
      }),
      { numRuns: RUNS },
    );
  });

  it('that is text has a tail that is the end of that text, on disk as in memory, and short of the limit by no character', async () => {
    await fc.assert(
      fc.asyncProperty(text, sizes, fc.integer({ min: 0, max: 300 }), async (written, cuts, limit) => {
        const all = Buffer.from(written);
        const { sink, path } = await sunk(all, cuts, 100_000, limit);
        const tails = [sink.tail(), await readTail(path, limit)];
        rmSync(path, { force: true });
        for (const tail of tails) {
          expect(written.endsWith(tail), JSON.stringify(tail)).toBe(true);
          expect(Buffer.byteLength(tail)).toBeGreaterThan(Math.min(limit, all.length) - 4);
        }
      }),
      { numRuns: 1000 },
    );
  });

  it.each([true, false])('is printed as it is, terminal: %s, however much of it is there at each look', async (raw) => {
    await fc.assert(
      fc.asyncProperty(
        bytes,
        fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 4 }),
        async (all, cuts) => {
          const path = join(dir, `${++count}.log`);
          const shown: Buffer[] = [];
          const out = {
            write: (chunk: Buffer | string) => shown.push(Buffer.from(chunk)),
          } as unknown as NodeJS.WriteStream;
          const printer = new LogPrinter(out, raw, (line) => expect.fail(line));
          writeFileSync(path, '');
          for (const chunk of chunked(all, cuts)) {
            appendFileSync(path, chunk);
            await printer.print(path);
          }
          printer.end();
          rmSync(path);
          const expected = raw ? all : Buffer.from(printable(all.toString('utf8')));
          expect(Buffer.concat(shown).toString('latin1')).toBe(expected.toString('latin1'));
        },
      ),
      { numRuns: 1000 },
    );
  });
});

describe('what helpers write', () => {
  it('is heard message by message, however the bytes were cut', () => {
    const message = fc.record({ t: fc.constant('started'), id: fc.string({ unit: 'binary' }), pid: fc.nat() });
    fc.assert(
      fc.property(
        fc.array(message, { maxLength: 6 }),
        fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1 }),
        (sent, cuts) => {
          const written = new PassThrough();
          for (const each of sent) say(written, each as FromKeeper);
          const decoder = new StringDecoder('utf8');
          const stream = Object.assign(new EventEmitter(), { setEncoding() {} });
          const heard: FromKeeper[] = [];
          listen<FromKeeper>(stream as unknown as Readable, (each) => heard.push(each));
          const all = (written.read() as Buffer | null) ?? Buffer.alloc(0);
          for (const chunk of chunked(all, cuts)) stream.emit('data', decoder.write(chunk));
          expect(heard).toEqual(sent);
        },
      ),
      { numRuns: RUNS },
    );
  });

  it('of process groups is read whatever a full disk has left of it, and never names what no group of ours can be', async () => {
    const line = fc.oneof(
      fc.tuple(fc.constantFrom('+', '-'), fc.integer({ min: -5, max: 5000 }), fc.nat()).map((parts) => parts.join(' ')),
      fc.constantFrom('+', '+ ', '- ', '+ 0 1', '+ 1 1', '+ x', '+ 1e3 5', '', '+ 12', '+ 7+ 8 9'),
      fc.string({ unit: 'binary', maxLength: 10 }),
    );
    const file = join(dir, 'groups');
    await fc.assert(
      fc.asyncProperty(fc.array(line, { maxLength: 8 }), fc.constantFrom('\n', ''), async (lines, end) => {
        writeFileSync(file, lines.join('\n') + end);
        const wrong = (await notedGroups(file)).filter(
          ({ pid, start }) => !Number.isSafeInteger(pid) || pid < 2 || start === '',
        );
        expect(wrong).toEqual([]);
      }),
      { numRuns: 1000 },
    );
  });
});

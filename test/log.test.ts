import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import fc from 'fast-check';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { oneLine } from '../src/core/text.js';
import { formatLine, type LogOptions, openLog } from '../src/log.js';
import { until } from './support/until.js';

const root = mkdtempSync(join(tmpdir(), 'cape log '));
let dir: string;
let count = 0;

beforeEach(() => {
  dir = join(root, String(++count));
});

afterAll(() => rmSync(root, { recursive: true, force: true }));

function options(more: Partial<LogOptions> = {}): LogOptions {
  return {
    workerId: 'alleycat-1',
    dir,
    level: 'info',
    format: 'text',
    maxSize: 20 * 1024 ** 2,
    maxDays: 14,
    console: null,
    colors: false,
    secrets: [],
    ...more,
  };
}

const LINE = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d - cape_worker_alleycat-1 - (ERROR|WARNING|INFO|DEBUG) - .*$/;
const current = () => join(dir, 'worker_alleycat-1.log');
const lines = () => readFileSync(current(), 'utf8').trimEnd().split('\n');

describe('a line', () => {
  const record = { level: 'warn', message: 'Something', time: new Date(2026, 2, 1, 4, 5, 6) } as const;

  test('has the format that other programs parse, in local time', () => {
    const line = formatLine(record, 'alleycat-1', { format: 'text', colors: false });
    expect(line).toBe('2026-03-01 04:05:06 - cape_worker_alleycat-1 - WARNING - Something');
  });

  test('is one line, whatever the message holds', () => {
    const message = 'a\nb\r\u001b[31mred\u2028c\u0000';
    const line = formatLine({ ...record, message }, 'a', { format: 'text', colors: false });
    expect(line).toMatch(/a\\nb\\r\\u001b\[31mred\\u2028c\\u0000$/);
  });

  test.each(['text', 'json'] as const)(
    'is one printable line of its own for any message, in the format %s',
    (format) => {
      const head = formatLine({ ...record, message: '' }, 'a', { format: 'text', colors: false });
      fc.assert(
        fc.property(
          fc.string({ unit: 'binary' }),
          fc.constantFrom('', '\n', '\r', '\u0085', '\u2028', '\u009b'),
          (text, end) => {
            const message = `${text}${end}${head}${text}`;
            const line = formatLine({ ...record, message }, 'a', { format, colors: false });
            expect(line).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/);
            // What viewers and tools break lines at.
            expect(line.split(/\r\n|[\n\r\v\f\u0085\u2028\u2029]/)).toHaveLength(1);
            if (format === 'text') expect(line.startsWith(head)).toBe(true);
            else
              expect(JSON.parse(line)).toMatchObject({
                level: 'warn',
                logger: 'cape_worker_a',
                message: oneLine(message),
              });
          },
        ),
        { numRuns: 10_000 },
      );
    },
  );

  test('as JSON has the same in fields', () => {
    const line = formatLine(record, 'a', { format: 'json', colors: false });
    expect(JSON.parse(line)).toEqual({
      time: record.time.toISOString(),
      level: 'warn',
      logger: 'cape_worker_a',
      message: 'Something',
    });
  });
});

describe('the log', () => {
  test('goes to the console and to the file, from its level on', async () => {
    const seen: string[] = [];
    const console = new PassThrough().on('data', (chunk) => seen.push(String(chunk))) as unknown as NodeJS.WriteStream;
    const log = await openLog(options({ console, colors: true }));
    log.debug('not this');
    log.info('this\nand this');
    log.error('and that');
    await log.close();
    expect(lines()).toHaveLength(2);
    for (const line of lines()) expect(line).toMatch(LINE);
    expect(seen.join('')).toContain('\u001b[31mERROR\u001b[0m - and that\n');
    expect(readFileSync(current(), 'utf8')).not.toContain('\u001b');
  });

  test('never shows a secret', async () => {
    const log = await openLog(options({ secrets: ['s3cret-pw', ''] }));
    log.error('postgres://me:s3cret-pw@host/db, again s3cret-pw');
    await log.close();
    expect(lines()[0]).toMatch(/postgres:\/\/me:\*\*\*@host\/db, again \*\*\*$/);
  });

  test('is rotated by size, and the plain name is always the newest file', async () => {
    const log = await openLog(options({ maxSize: 64 * 1024 }));
    const filler = 'x'.repeat(1000);
    for (let i = 0; i < 300; i++) {
      log.info(`${i} ${filler}`);
      // A rotation happens between two turns of the loop; a burst in one turn would all go to one file.
      if (i % 20 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await until(() => lines().at(-1)?.includes('299 x'), { what: 'the last line under the plain name' });
    await log.close();
    const files = readdirSync(dir).filter((name) => /^worker_alleycat-1-.*\.log/.test(name));
    expect(files.length).toBeGreaterThan(1);
    expect(lstatSync(current()).isSymbolicLink()).toBe(true);
    const all = files.flatMap((name) => readFileSync(join(dir, name), 'utf8').trimEnd().split('\n'));
    expect(all).toHaveLength(300);
    for (const line of all) expect(line).toMatch(LINE);
  });

  test('keeps a plain file that another program left under the name', async () => {
    mkdirSync(dir, { recursive: true });
    writeFileSync(current(), 'an older log\n');
    const log = await openLog(options());
    log.info('new');
    await log.close();
    expect(lines()).toHaveLength(1);
    const kept = readdirSync(dir).find((name) => /^worker_alleycat-1\.log\.\d+$/.test(name));
    expect(readFileSync(join(dir, kept as string), 'utf8')).toBe('an older log\n');
  });

  test('says in one line that its folder cannot be made', async () => {
    mkdirSync(root, { recursive: true });
    writeFileSync(join(root, 'a file'), '');
    const folder = join(root, 'a file', 'logs');
    await expect(openLog(options({ dir: folder }))).rejects.toMatchObject({
      kind: 'config',
      message: expect.stringContaining(`--log-dir: got "${folder}"; can't write there`),
    });
  });

  test('says in one line that the file of the day cannot be written, before anything runs', async () => {
    const today = formatLine({ level: 'info', message: '', time: new Date() }, 'a', { format: 'text', colors: false });
    const file = `worker_alleycat-1-${today.slice(0, 10)}.log`;
    // Root may write to any file, but nobody to a link that leads to itself.
    mkdirSync(dir, { recursive: true });
    symlinkSync(file, join(dir, file));
    await expect(openLog(options())).rejects.toMatchObject({
      kind: 'config',
      message: expect.stringContaining(`--log-dir: got "${dir}"; can't write there: ELOOP`),
    });
  });

  test('keeps from the console what the console hears in another way', async () => {
    const seen: string[] = [];
    const console = new PassThrough().on('data', (chunk) => seen.push(String(chunk))) as unknown as NodeJS.WriteStream;
    const log = await openLog(options({ console }));
    log.errorInFile('for the file');
    log.error('for both');
    await log.close();
    expect(lines()).toHaveLength(2);
    expect(seen.join('')).toMatch(/^.* - ERROR - for both\n$/);
  });

  test('without a folder or a console says nothing, and writes no file', async () => {
    const log = await openLog(options({ dir: null }));
    log.info('to nobody');
    await log.close();
    expect(existsSync(dir)).toBe(false);
  });
});

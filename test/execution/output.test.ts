import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Sink } from '../../src/execution/sink.js';
import { cleanTail, logPieces, readTail } from '../../src/execution/tail.js';
import { type Bench, bench, eventually } from './harness.js';

const MiB = 1024 * 1024;
let b: Bench;
beforeAll(() => {
  b = bench();
});
afterAll(() => b.close());

describe('the output of a command', () => {
  it('keeps the order of its two streams', async () => {
    const { tail } = await b.sh('for i in $(seq 200); do echo out $i; echo err $i >&2; done');
    const expected = Array.from({ length: 200 }, (_, i) => `out ${i + 1}\nerr ${i + 1}\n`).join('');
    expect(tail).toBe(expected);
  });

  it('survives "> /dev/stderr" and tee, which truncate a file', async () => {
    await b.sh('echo first; echo second > /dev/stderr; echo third | tee /dev/stderr', { id: 'truncate' });
    expect(readFileSync(join(b.dir, 'truncate.log'), 'utf8')).toBe('first\nsecond\nthird\nthird\n');
  });

  it('of 100 MB is bounded on disk, and memory does not grow with it', async () => {
    const run = b.start('/bin/sh', ['-c', 'yes 0123456789abcde | head -c 100000000; echo the end'], {
      id: 'big',
      logLimit: 4 * MiB,
    });
    await run.started;
    const keeper = b.executor.helpers!.keeper.pid;
    const outcome = await run.ended;
    expect(outcome.kind).toBe('succeeded');
    expect(outcome.tail).toHaveLength(8192);
    expect(outcome.tail?.endsWith('0123456789abcde\nthe end\n')).toBe(true);
    const sizes = readdirSync(b.dir)
      .filter((name) => name.startsWith('big.log'))
      .map((name) => statSync(join(b.dir, name)).size);
    expect(sizes).toHaveLength(3);
    expect(sizes.reduce((sum, size) => sum + size)).toBeLessThanOrEqual(4 * MiB);
    expect(await readTail(join(b.dir, 'big.log'), 8192)).toBe(outcome.tail);
    const peak = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${keeper}/status`, 'utf8'))?.[1];
    expect(Number(peak)).toBeLessThan(100 * 1024);
  });

  it('that holds NUL and broken UTF-8 gives a tail that is clean text', async () => {
    const { tail } = await b.sh(`printf 'a\\000b\\377c\\303'`);
    expect(tail).toBe('ab\ufffdc\ufffd');
  });

  it('goes on without a file where the log can not be made, and says so', async () => {
    const outcome = await b.sh('seq 100000; echo the end', { id: 'nolog', logPath: '/no/such folder/x.log' });
    expect(outcome.kind).toBe('succeeded');
    expect(outcome.tail?.endsWith('100000\nthe end\n')).toBe(true);
    expect(b.logged).toContainEqual(
      'run nolog: 588903 bytes of output could not be written to /no/such folder/x.log (ENOENT)',
    );
  });

  it('has no file where there is none and the command ends at once; one that goes on has its file', async () => {
    expect(await b.sh('exit 0', { id: 'silent' })).toMatchObject({ kind: 'succeeded', tail: '' });
    expect(existsSync(join(b.dir, 'silent.log'))).toBe(false);
    const run = b.start('/bin/sleep', ['30'], { id: 'patient' });
    await eventually('its file is there', () => existsSync(join(b.dir, 'patient.log')));
    run.end('cancelled');
    await run.ended;
  });

  it('is in the file while the command still runs', async () => {
    const run = b.start('/bin/sh', ['-c', 'echo early; sleep 30'], { id: 'live' });
    await eventually('the first line is there', () => b.output('live') === 'early');
    run.end('cancelled');
    expect(await run.ended).toMatchObject({ tail: 'early\n' });
  });
});

describe('a sink', () => {
  const write = (sink: Sink, text: string) => new Promise<void>((done) => sink.write(Buffer.from(text), done));

  it('keeps the head and the newest two segments, named by their offset in the stream', async () => {
    const log = join(b.dir, 'pieces.log');
    const sink = new Sink(log, 4096, 100);
    for (let i = 0; i < 100; i++) await write(sink, `${i}`.padStart(99, '.').concat('\n'));
    sink.close();
    const pieces = await logPieces(log);
    expect(pieces.map(({ offset, size }) => [offset, size])).toEqual([
      [0, 2048],
      [8192, 1024],
      [9216, 784],
    ]);
    expect([sink.bytes, sink.lost, sink.error]).toEqual([10_000, 0, null]);
    expect(sink.tail()).toBe(`${'.'.repeat(97)}99\n`);
  });

  it('counts what a full disk did not take, and keeps the end in memory', async () => {
    const sink = new Sink('/dev/full', 4096, 100);
    await write(sink, 'why it failed\n');
    sink.close();
    expect([sink.bytes, sink.lost, sink.error]).toEqual([14, 14, 'ENOSPC']);
    expect(sink.tail()).toBe('why it failed\n');
  });
});

describe('a tail', () => {
  it('never begins inside a character and never exceeds its limit', () => {
    expect(cleanTail(Buffer.from('ä🦊b'), 4)).toBe('b');
    expect(cleanTail(Buffer.from('ä🦊b'), 5)).toBe('🦊b');
    expect(cleanTail(Buffer.alloc(100, 0xff), 10)).toBe('\ufffd'.repeat(3));
  });

  it('is read over the border of segments, but not over a gap', async () => {
    const log = join(b.dir, 'gap.log');
    const sink = new Sink(log, 4096, 0);
    await new Promise<void>((done) =>
      sink.write(Buffer.from('x'.repeat(2048) + 'y'.repeat(1024) + 'z'.repeat(10)), done),
    );
    expect(await readTail(log, 1040)).toBe(`xxxxxx${'y'.repeat(1024)}${'z'.repeat(10)}`);
    await new Promise<void>((done) => sink.write(Buffer.from('z'.repeat(2000)), done));
    sink.close();
    expect(await readTail(log, 9999)).toBe('z'.repeat(2010));
  });

  it('of a log that is not there is empty', async () => {
    expect(await readTail('/no/such/file.log', 100)).toBe('');
  });
});

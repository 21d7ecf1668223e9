import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { isAlive, signal } from '../../src/execution/processes.js';
import type { HelperRecord } from '../../src/execution/spec.js';
import { type Bench, bench, eventually } from './harness.js';

let b: Bench;
afterEach(() => b.close());

describe('the keeper', () => {
  it('comes with the first command and is told of, with its warden', async () => {
    b = bench();
    const told: Array<HelperRecord | null> = [];
    b.executor.onHelpers = (helpers) => told.push(helpers);
    expect(b.executor.helpers).toBeNull();
    const run = b.start('/bin/true', []);
    await run.started;
    expect(told).toEqual([b.executor.helpers]);
    expect([told[0]!.keeper, told[0]!.warden!].every(isAlive)).toBe(true);
    await run.ended;
  });

  it('leaves after a while without a command, and the next command has another', async () => {
    b = bench({ idleMs: 100 });
    await b.sh('true');
    const { keeper, warden, token } = b.executor.helpers!;
    await eventually('it has left', () => b.executor.helpers === null);
    expect([keeper, warden!].filter(isAlive)).toEqual([]);
    expect(readdirSync(b.dir)).not.toContain(token);
    expect(b.logged).toEqual([]);
    expect(await b.sh('true')).toMatchObject({ kind: 'succeeded' });
  });

  it('does not leave while a command runs', async () => {
    b = bench({ idleMs: 100 });
    expect(await b.sh('sleep 0.5')).toMatchObject({ kind: 'succeeded' });
  });

  it('is not blamed when the worker itself was stopped: only unanswered pings count', async () => {
    b = bench({ pingMs: 200, missedPings: 3 });
    const run = b.start('/bin/sleep', ['1.5']);
    await run.started;
    const until = performance.now() + 1000;
    while (performance.now() < until); // the loop stands still, as after a stop
    expect(await run.ended).toMatchObject({ kind: 'succeeded' });
  });

  it('obeys an end that stands behind many starts before it has done with these', async () => {
    b = bench();
    const long = b.start('/bin/sleep', ['60']);
    await long.started;
    const ends: string[] = [];
    const note = (name: string) => () => void ends.push(name);
    const flood = Array.from({ length: 60 }, () => b.start('/bin/true', []).ended.then(note('short')));
    long.end('cancelled');
    await Promise.all([...flood, long.ended.then(note('long'))]);
    expect(ends.indexOf('long')).toBeLessThan(40);
  });

  it('never begins what is ended while it waits for its start', async () => {
    b = bench();
    await b.sh('true');
    const flood = Array.from({ length: 20 }, () => b.start('/bin/true', []).ended);
    const late = b.start('/bin/sh', ['-c', 'touch began; sleep 5']);
    late.end('cancelled');
    expect(await late.ended).toMatchObject({ kind: 'cancelled', exitCode: null });
    expect((await Promise.all(flood)).map(({ kind }) => kind)).toEqual(Array(20).fill('succeeded'));
    expect(readdirSync(b.dir)).not.toContain('began');
  });

  it('takes a message of 40 MB without standing still: the command beside it goes on', async () => {
    b = bench();
    const neighbour = b.start('/bin/sh', ['-c', 'while ! test -e go; do sleep 0.05; done']);
    await neighbour.started;
    const huge = b.start('/bin/true', ['x'.repeat(40_000_000)]);
    expect(await huge.ended).toMatchObject({ kind: 'invalid', error: expect.stringContaining('too long') });
    writeFileSync(join(b.dir, 'go'), '');
    expect(await neighbour.ended).toMatchObject({ kind: 'succeeded' });
    expect(b.logged).toEqual([]);
  });

  it('that is lost between two commands is replaced without a word of error for the next', async () => {
    b = bench();
    await b.sh('true');
    signal(b.executor.helpers!.keeper.pid, 'SIGKILL');
    await eventually('that is noticed', () => b.executor.helpers === null);
    expect(await b.sh('true')).toMatchObject({ kind: 'succeeded' });
  });

  it('that never comes up makes commands unrunnable, not interrupted for ever', async () => {
    b = bench({ keeperNodeArgs: ['--no-such-option'] });
    const outcome = await b.sh('true');
    expect(outcome).toEqual({ kind: 'unrunnable', error: 'the keeper process ended with exit code 9' });
    expect(b.logged.join('\n')).toContain('bad option: --no-such-option');
  });

  it('that can not even have a folder makes commands unrunnable', async () => {
    b = bench({ stateDir: '/dev/null/no such folder' });
    const outcome = await b.sh('true');
    expect(outcome.kind).toBe('unrunnable');
    expect(outcome.error).toContain("can't start the keeper of commands: ENOTDIR: not a directory");
  });
});

describe('a run', () => {
  it('that waits for the next keeper can be ended before it has begun', async () => {
    b = bench({ idleMs: 0 });
    await b.sh('true');
    const { keeper } = b.executor.helpers!;
    signal(keeper.pid, 'SIGSTOP'); // it takes its time to leave
    await pause(50); // by now it was asked to
    const run = b.start('/bin/true', []);
    run.end('cancelled');
    expect(await run.started).toBeNull();
    expect(await run.ended).toMatchObject({ kind: 'cancelled' });
    signal(keeper.pid, 'SIGCONT');
  });

  it('is refused as interrupted after close()', async () => {
    b = bench();
    await b.executor.close();
    expect(await b.sh('true')).toMatchObject({ kind: 'interrupted' });
  });
});

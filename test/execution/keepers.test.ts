/** One keeper as a rule, two where one can't keep up: who starts what, and that nothing is left of either. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { identify, isAlive, signal } from '../../src/execution/processes.js';
import { endLeftovers } from '../../src/execution/recover.js';
import type { HelperRecord } from '../../src/execution/spec.js';
import {
  allGone,
  type Bench,
  bench,
  eventually,
  fixture,
  GRACE_MS,
  processesIn,
  specOf,
  TREE,
  tempDir,
} from './harness.js';

describe('an executor', () => {
  let b: Bench;
  afterEach(() => b.close());

  /** Commands that end at once, so many at a time, until there are two keepers. @returns how they ended */
  async function flood(): Promise<string[]> {
    const kinds: string[] = [];
    const one = async () => {
      while (!b.executor.helpers?.others) kinds.push((await b.sh(':')).kind);
    };
    await Promise.all(Array.from({ length: 24 }, one));
    return kinds;
  }

  it('has one keeper for commands that come all at once', async () => {
    b = bench({ keepers: 2 });
    await b.sh('true');
    await Promise.all(Array.from({ length: 16 }, () => b.sh('sleep 0.3')));
    await b.sh('true');
    expect(b.executor.helpers).not.toHaveProperty('others');
  });

  it('has a second one where the first is behind for long, and both start commands', async () => {
    b = bench({ keepers: 2 });
    const told: Array<HelperRecord | null> = [];
    b.executor.onHelpers = (helpers) => told.push(helpers);
    const kinds = await flood();
    expect(new Set(kinds)).toEqual(new Set(['succeeded']));
    const helpers = b.executor.helpers!;
    expect(told.at(-1)).toEqual(helpers);
    const keepers = [helpers, ...helpers.others!].map(({ keeper }) => keeper.pid);
    const parents = await Promise.all(Array.from({ length: 4 }, async () => Number((await b.sh('echo $PPID')).tail)));
    expect(new Set(parents)).toEqual(new Set(keepers));
    expect(b.logged).toEqual([]);
  });

  it('has but one where it may have no more', async () => {
    b = bench({ keepers: 1 });
    const one = async () => {
      for (let i = 0; i < 25; i++) await b.sh(':');
    };
    await Promise.all(Array.from({ length: 24 }, one));
    expect(b.executor.helpers).not.toHaveProperty('others');
  });

  it('refuses a run that is under way, whichever keeper has it', async () => {
    b = bench({ keepers: 2 });
    await flood();
    const [first, second] = ['long-1', 'long-2'].map((id) => b.start('/bin/sleep', ['60'], { id }));
    await Promise.all([first!.started, second!.started]);
    for (const id of ['long-1', 'long-2'])
      expect(await b.start('/bin/true', [], { id }).ended).toMatchObject({
        kind: 'unrunnable',
        error: `run ${id} is already under way`,
      });
    first!.end('cancelled');
    second!.kill();
    expect(await first!.ended).toMatchObject({ kind: 'cancelled' });
    expect(await second!.ended).toMatchObject({ kind: 'interrupted' });
  });

  it('loses with one keeper that one’s commands alone, and lets both go when there is nothing to do', async () => {
    b = bench({ keepers: 2, idleMs: 300 });
    await flood();
    const runs = ['lost', 'kept'].map((id) => b.start('/bin/sh', ['-c', 'echo $PPID; sleep 1'], { id }));
    const keeper = await eventually('it says whose it is', () => Number(b.output('lost')) || null);
    signal(keeper, 'SIGKILL');
    const ends = await Promise.all(runs.map((run) => run.ended));
    expect(ends.map(({ kind }) => kind)).toEqual(['crashed', 'succeeded']);
    await eventually('both have left', () => b.executor.helpers === null);
  });
});

describe('of a worker with two keepers', () => {
  let dir: string;
  beforeEach(() => {
    dir = tempDir();
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  /** With a tree in each keeper that does not want to end. */
  async function startWorker() {
    const files = ['one', 'two'].map((name) => join(dir, name));
    const specs = files.map((file, i) => specOf(dir, `tree-${i}`, fixture('exec-tree.sh'), [file]));
    const filler = specOf(dir, 'filler', '/bin/true', []);
    const job = JSON.stringify({ stateDir: dir, graceMs: GRACE_MS, filler, specs, untilMs: 60_000 });
    const child = spawn(process.execPath, [fixture('exec-two-keepers.mjs'), job], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const worker = identify(child.pid!)!;
    const [line] = await once(createInterface(child.stdout), 'line');
    const helpers = JSON.parse(line as string) as HelperRecord;
    const trees = await Promise.all(files.map((file) => processesIn(file, TREE)));
    const guards = [helpers, ...helpers.others!].flatMap(({ keeper, warden }) => [keeper, warden!]);
    return { worker, helpers, trees: trees.flat(), guards };
  }

  it('each ends what it started when the worker is gone', async () => {
    const { worker, trees, guards } = await startWorker();
    signal(worker.pid, 'SIGKILL');
    await allGone([...trees, ...guards], 20_000);
  });

  it('what both left when all were killed at once is ended by a successor that knows the record alone', async () => {
    const { worker, helpers, trees, guards } = await startWorker();
    for (const { pid } of [...guards, worker]) signal(pid, 'SIGSTOP');
    for (const { pid } of [...guards, worker]) signal(pid, 'SIGKILL');
    await allGone([...guards, worker], 10_000);
    expect(trees.some(isAlive)).toBe(true);
    expect(await endLeftovers(helpers, worker)).toBe(true);
    expect(trees.filter(isAlive)).toEqual([]);
  });

  it('a successor has no proof while one of the keepers lives', async () => {
    const { worker, helpers, trees, guards } = await startWorker();
    const [second] = helpers.others!;
    signal(second!.keeper.pid, 'SIGSTOP');
    signal(worker.pid, 'SIGKILL');
    await allGone([worker], 10_000);
    expect(await endLeftovers(helpers, worker, { waitMs: 2000 })).toBe(false);
    signal(second!.keeper.pid, 'SIGCONT');
    await allGone([...trees, ...guards], 20_000);
  });
});

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, describe, expect, it } from 'vitest';
import { identify, isAlive, signal } from '../../src/execution/processes.js';
import type { HelperRecord, ProcessIdentity } from '../../src/execution/spec.js';
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

/** What the machine may add to a grace before everything is gone. */
const SLACK_MS = 10_000;
const NOBODY = 65534;

describe('a tree that ignores SIGTERM and has grandchildren in sessions of their own', () => {
  let b: Bench;
  afterEach(() => b.close());

  function startTree(changes = {}) {
    const pids = join(b.dir, 'pids');
    const run = b.start(fixture('exec-tree.sh'), [pids], changes);
    return { run, tree: () => run.started.then(() => processesIn(pids, TREE)) };
  }

  it('is gone after its timeout', async () => {
    b = bench();
    const { run, tree } = startTree({ timeoutMs: 3000 });
    const processes = await tree();
    expect(await run.ended).toMatchObject({ kind: 'timed_out', signal: 'SIGKILL' });
    expect(processes.filter(isAlive)).toEqual([]);
  });

  it('is gone after a cancel, and again after close()', async () => {
    b = bench();
    const { run, tree } = startTree();
    const processes = await tree();
    run.end('cancelled');
    expect(await run.ended).toMatchObject({ kind: 'cancelled' });
    expect(processes.filter(isAlive)).toEqual([]);

    const second = b.start(fixture('exec-tree.sh'), [join(b.dir, 'more')]);
    const others = await processesIn(join(b.dir, 'more'), TREE);
    await b.executor.close();
    expect(await second.ended).toMatchObject({ kind: 'interrupted' });
    expect(others.filter(isAlive)).toEqual([]);
    expect(b.executor.helpers).toBeNull();
  });

  it('is gone when its keeper was killed: only then the run ends, and the next command has a new keeper', async () => {
    b = bench();
    const { run, tree } = startTree();
    const processes = await tree();
    const { keeper, token } = b.executor.helpers!;
    signal(keeper.pid, 'SIGKILL');
    const outcome = await run.ended;
    expect(processes.filter(isAlive)).toEqual([]);
    expect(outcome.kind).toBe('crashed');
    expect(outcome.error).toBe('the keeper process that guards commands was ended by SIGKILL');
    expect(await b.sh('echo fine')).toMatchObject({ kind: 'succeeded', tail: 'fine\n' });
    expect(b.executor.helpers!.token).not.toBe(token);
    expect(readdirSync(b.dir)).not.toContain(token);
  });

  it('is gone when keeper and warden were killed at once', async () => {
    b = bench();
    const { run, tree } = startTree();
    const processes = await tree();
    const { keeper, warden } = b.executor.helpers!;
    signal(warden!.pid, 'SIGKILL');
    signal(keeper.pid, 'SIGKILL');
    expect(await run.ended).toMatchObject({ kind: 'crashed' });
    expect(processes.filter(isAlive)).toEqual([]);
  });

  it('is gone when its keeper was stopped: it answers no ping and is killed', async () => {
    b = bench({ pingMs: 200, missedPings: 3 });
    const { run, tree } = startTree();
    const processes = await tree();
    signal(b.executor.helpers!.keeper.pid, 'SIGSTOP');
    const outcome = await run.ended;
    expect(outcome.error).toContain('did not answer for 0.6 s');
    expect(processes.filter(isAlive)).toEqual([]);
  });

  it('goes on while a killed warden is replaced, which knows it', async () => {
    b = bench();
    const { run, tree } = startTree();
    const processes = await tree();
    const first = b.executor.helpers!;
    signal(first.warden!.pid, 'SIGKILL');
    await eventually('there is another warden', () => b.executor.helpers!.warden!.pid !== first.warden!.pid);
    expect(processes.filter(isAlive)).toHaveLength(TREE);
    signal(first.keeper.pid, 'SIGKILL');
    await run.ended;
    expect(processes.filter(isAlive)).toEqual([]);
  });
});

describe('what a command leaves behind', () => {
  let b: Bench;
  afterEach(() => b.close());

  it.each([
    ['in its group', 'sleep 300 &'],
    ['in a session of its own, holding the output', 'setsid sleep 300 &'],
    ['in a session of its own, silent', 'setsid sleep 300 >/dev/null 2>&1 &'],
    ['without its environment, holding the output', 'setsid env -i /bin/sleep 300 &'],
  ])('%s does not delay a success and is dead soon', async (_, leave) => {
    b = bench();
    await b.sh('true'); // the keeper is there
    const began = performance.now();
    const outcome = await b.sh(`${leave} echo $!; exec sleep 0.1`);
    expect(performance.now() - began).toBeLessThan(GRACE_MS + SLACK_MS);
    expect(outcome.kind).toBe('succeeded');
    const left = identify(Number(outcome.tail));
    if (left) await allGone([left], SLACK_MS);
  });

  it('is found by a failure before the run ends', async () => {
    b = bench();
    const outcome = await b.sh('setsid sleep 300 >/dev/null 2>&1 & echo $!; sleep 0.1; exit 3');
    expect(outcome).toMatchObject({ kind: 'failed', exitCode: 3 });
    expect(identify(Number(outcome.tail))).toBeNull();
  });
});

describe('a worker', () => {
  const workers: ChildProcess[] = [];
  const folders: string[] = [];
  afterEach(() => {
    for (const worker of workers.splice(0)) worker.kill('SIGKILL');
    for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
  });

  /** A worker process that runs the tree, for whom its deadline comes after `untilMs`. */
  async function startWorker({ untilMs = 60_000, uid = process.getuid!() } = {}) {
    const dir = tempDir();
    chownSync(dir, uid, uid);
    folders.push(dir);
    const pids = join(dir, 'pids');
    const spec = specOf(dir, 'tree', fixture('exec-tree.sh'), [pids]);
    const worker = spawn(
      process.execPath,
      [fixture('exec-worker.mjs'), JSON.stringify({ stateDir: dir, graceMs: GRACE_MS, spec, untilMs })],
      { stdio: ['ignore', 'pipe', 'inherit'], uid, gid: uid },
    );
    workers.push(worker);
    const [line] = await once(createInterface(worker.stdout!), 'line');
    const { helpers } = JSON.parse(line as string) as { helpers: HelperRecord };
    return { worker, dir, helpers, tree: await processesIn(pids, TREE) };
  }
  const everything = (helpers: HelperRecord, tree: ProcessIdentity[]) => [...tree, helpers.keeper, helpers.warden!];

  it('that is killed leaves nothing after the grace, its helpers and their folder included', async () => {
    const { worker, dir, helpers, tree } = await startWorker();
    worker.kill('SIGKILL');
    await allGone(everything(helpers, tree), GRACE_MS + SLACK_MS);
    expect(existsSync(join(dir, helpers.token))).toBe(false);
  });

  it('that is killed leaves nothing where it runs as an ordinary user, too', async () => {
    if (process.getuid!() !== 0) return console.warn('skipped: only root can become somebody else');
    const { worker, helpers, tree } = await startWorker({ uid: NOBODY });
    signal(helpers.keeper.pid, 'SIGKILL');
    worker.kill('SIGKILL');
    await allGone(everything(helpers, tree), GRACE_MS + SLACK_MS);
  });

  it('that is killed together with its keeper leaves nothing', async () => {
    const { worker, helpers, tree } = await startWorker();
    signal(helpers.keeper.pid, 'SIGKILL');
    worker.kill('SIGKILL');
    await allGone(everything(helpers, tree), GRACE_MS + SLACK_MS);
  });

  it('that is killed together with its warden leaves nothing', async () => {
    const { worker, helpers, tree } = await startWorker();
    signal(helpers.warden!.pid, 'SIGKILL');
    worker.kill('SIGKILL');
    await allGone(everything(helpers, tree), GRACE_MS + SLACK_MS);
  });

  it('that is stopped has its commands ended when their deadline passes', async () => {
    const { worker, helpers, tree } = await startWorker({ untilMs: 1500 });
    worker.kill('SIGSTOP');
    await allGone(tree, 1500 + GRACE_MS + SLACK_MS);
    expect(isAlive(helpers.keeper)).toBe(true);
  });

  it('that is killed while its keeper is stopped leaves nothing once the warden has killed the keeper', async () => {
    const { worker, helpers, tree } = await startWorker();
    signal(helpers.keeper.pid, 'SIGSTOP');
    worker.kill('SIGKILL');
    await allGone(everything(helpers, tree), 2 * GRACE_MS + 6000 + SLACK_MS);
  });
});

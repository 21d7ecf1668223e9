/**
 * What a service manager's delegation adds: everything that a run started ends with it, whatever it has become. The
 * processes here have left all that can be seen from outside: group, session, environment, output.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { pathIn } from '../../src/execution/cgroup.js';
import { identify, isAlive, signal } from '../../src/execution/processes.js';
import { endLeftovers, endOrphans } from '../../src/execution/recover.js';
import type { HelperRecord, ProcessIdentity, Run } from '../../src/execution/spec.js';
import { makeServiceGroup, type ServiceGroup } from '../support/service-group.js';
import { allGone, type Bench, bench, eventually, fixture, GRACE_MS, processesIn, specOf, tempDir } from './harness.js';

/** Its pid goes into the file $1. It can't be found by its process group, its environment or its output. */
const HIDE = `hide() { setsid env -i /bin/sh -c 'echo $$ >>"$1"; exec "$2" 300' hidden "$@" </dev/null >/dev/null 2>&1 & }
wait_for() { until [ -s "$1" ]; do sleep 0.02; done; }
`;
const hiddenSleep = (pids: string) => `${HIDE} hide '${pids}' /bin/sleep; wait_for '${pids}';`;
const NOBODY = 65534;
/** A machine with ten others at work looks round slowly. */
const SOON_MS = 20_000;

const made = makeServiceGroup();
if (typeof made === 'string') console.warn(`skipped: ${made}`);

describe.skipIf(typeof made === 'string')('in a service whose control group is delegated', () => {
  const service = made as ServiceGroup;
  let b: Bench;
  let pids: string;
  const workers: ChildProcess[] = [];

  beforeAll(() => service.enter());
  afterAll(async () => {
    service.leave();
    await service.remove();
  });
  beforeEach(() => {
    b = bench();
    pids = join(b.dir, 'hidden pids');
  });
  afterEach(async () => {
    for (const worker of workers.splice(0)) worker.kill('SIGKILL');
    await b.close();
    await eventually('no control group of a run is left', () => service.runs().length === 0);
  });

  /** A file of shell script; quotes within quotes would be needed otherwise. */
  function script(name: string, text: string): string {
    const path = join(b.dir, name);
    writeFileSync(path, text);
    return path;
  }
  const idle = (file: string) => `echo $$ >>"${file}"; while :; do sleep 0.05; done`;
  const groupOf = (pid: number) => basename(pathIn(readFileSync(`/proc/${pid}/cgroup`, 'utf8')));
  /** A run that hides a process, waits until that was looked at (its end would take the hidden one along), and goes on. */
  async function startHiding(changes = {}, then = 'sleep 300'): Promise<{ run: Run; hidden: ProcessIdentity }> {
    const seen = `${pids} seen`;
    const run = b.start('/bin/sh', ['-c', `${hiddenSleep(pids)} wait_for '${seen}'; ${then}`], changes);
    const [hidden] = await processesIn(pids, 1);
    writeFileSync(seen, 'seen');
    return { run, hidden: hidden! };
  }

  it('a hidden process survives outside of it: there the next tests would fail', async () => {
    service.leave();
    try {
      const { run, hidden } = await startHiding({}, 'exit 3');
      await run.ended;
      expect(isAlive(hidden)).toBe(true);
      signal(hidden.pid, 'SIGKILL');
    } finally {
      service.enter();
    }
  });

  it('each run has a group of its own, and is dead before its end is told: timeout, cancel, failure', async () => {
    const { run, hidden } = await startHiding({ timeoutMs: 2500 });
    expect(groupOf(hidden.pid)).toMatch(/^cape-[0-9a-f]{24}-1$/);
    expect(await run.ended).toMatchObject({ kind: 'timed_out' });
    expect(isAlive(hidden)).toBe(false);

    pids += '2';
    const second = await startHiding();
    expect(groupOf(second.hidden.pid)).toMatch(/-2$/);
    second.run.end('cancelled');
    expect(await second.run.ended).toMatchObject({ kind: 'cancelled' });
    expect(isAlive(second.hidden)).toBe(false);

    pids += '3';
    const third = await startHiding({}, 'exit 3');
    expect(await third.run.ended).toMatchObject({ kind: 'failed', exitCode: 3 });
    expect(isAlive(third.hidden)).toBe(false);
    expect(service.runs()).toEqual([]);
  });

  it('after a success, and when the worker stops', async () => {
    const { run, hidden } = await startHiding({}, 'true');
    const began = performance.now();
    expect(await run.ended).toMatchObject({ kind: 'succeeded' });
    expect(performance.now() - began).toBeLessThan(GRACE_MS + 1000);
    expect(isAlive(hidden)).toBe(false);

    pids += '2';
    const second = await startHiding();
    await b.executor.close();
    expect(isAlive(second.hidden)).toBe(false);
  });

  it('a process of another user, in the process group and out of it', async () => {
    const other = `setpriv --reuid ${NOBODY} --clear-groups`;
    const script = `${other} sh -c 'echo $$; exec sleep 300' & setsid ${other} env -i sh -c 'echo $$; exec sleep 300' &
      sleep 0.3; exit 3`;
    const outcome = await b.sh(script);
    expect(outcome.kind).toBe('failed');
    const left = outcome.tail!.trim().split('\n').map(Number);
    expect(left).toHaveLength(2);
    expect(left.map(identify)).toEqual([null, null]);
  });

  it('what forks all the time, and what hides in groups that the command made in its own and froze', async () => {
    const script = `own=${service.folder}/$(sed -n 's/^0:://p' /proc/self/cgroup | xargs basename)
      mkdir -p "$own/a/b" "$own/c" && echo $$ >"$own/a/b/cgroup.procs"
      ${hiddenSleep(pids)}
      (echo 0 >"$own/c/cgroup.procs"; setsid sh -c 'n=0; while [ $n -lt 200 ]; do n=$((n + 1)); setsid env -i sleep 0.3 & done; wait') &
      sleep 0.3; echo $$ >"$own/c/cgroup.procs"; echo 1 >"$own/a/cgroup.freeze"; exit 3`;
    expect(await b.sh(script)).toMatchObject({ kind: 'failed', exitCode: 3 });
    expect((await processesOf(pids)).filter(isAlive)).toEqual([]);
    expect(service.runs()).toEqual([]);
  });

  it('upon our own end it gets SIGTERM, once the process group is gone, and what is left of the grace', async () => {
    const said = join(b.dir, 'said');
    // The hidden one takes its time; the leader needs it for its own last words.
    const hidden = script('hidden', `trap 'sleep 0.2; echo hidden >>"${said}"; exit' TERM; ${idle(pids)}`);
    const leader = `trap 'kill -0 $(cat "${pids}") && echo leader >>"${said}"; exit' TERM`;
    const run = b.start('/bin/sh', ['-c', `${leader}; setsid env -i sh '${hidden}' & ${idle('/dev/null')}`], {
      graceMs: 10_000,
    });
    const [process] = await processesIn(pids, 1);
    run.end('cancelled');
    expect(await run.ended).toMatchObject({ kind: 'cancelled' });
    expect(isAlive(process!)).toBe(false);
    expect(readFileSync(said, 'utf8')).toBe('leader\nhidden\n');
  });

  it('one that ignores SIGTERM does not outlast the grace, and kill() leaves it none', async () => {
    const started = async () => {
      const stubborn = script('stubborn', `trap '' TERM; ${idle(pids)}`);
      const run = b.start('/bin/sh', ['-c', `setsid env -i sh '${stubborn}' & exec sleep 300`]);
      const [process] = await processesIn(pids, 1);
      return { run, process: process! };
    };
    const first = await started();
    const began = performance.now();
    first.run.end('cancelled');
    await first.run.ended;
    expect(performance.now() - began).toBeGreaterThan(GRACE_MS - 50);
    expect(isAlive(first.process)).toBe(false);

    pids += '2';
    const second = await started();
    second.run.kill();
    await second.run.ended;
    expect(isAlive(second.process)).toBe(false);
  });

  it('60 at once: each in its own, and nothing else lands in one of them', async () => {
    await b.sh('true');
    const { keeper, warden } = b.executor.helpers!;
    const runs = Array.from({ length: 60 }, (_, n) =>
      b.start('/bin/sh', ['-c', 'cat /proc/self/cgroup; sleep 0.5'], { id: `at-once-${n}` }),
    );
    await runs[20]!.started;
    signal(warden!.pid, 'SIGKILL'); // its successor is started in the midst of it, as mkfifo is
    const outcomes = await Promise.all(runs.map((run) => run.ended));
    const groups = outcomes.map(({ tail }) => basename(pathIn(tail!)));
    expect(new Set(groups).size).toBe(60);
    expect(groups.every((name) => name.startsWith('cape-'))).toBe(true);
    const successor = await eventually('there is another warden', () => {
      const now = b.executor.helpers!.warden!;
      return now.pid !== warden!.pid && now;
    });
    expect([keeper, successor].map(({ pid }) => groupOf(pid))).toEqual(Array(2).fill(basename(service.folder)));
    expect(service.runs()).toEqual([]);
  });

  it('a command that can not be started leaves no group', async () => {
    expect(await b.start('/nowhere', []).ended).toMatchObject({ kind: 'unrunnable' });
    expect(await b.start('/bin/sh', ['x'.repeat(200_000)]).ended).toMatchObject({ kind: 'invalid' });
    await eventually('both groups are removed', () => service.runs().length === 0);
    expect(await b.sh('echo fine')).toMatchObject({ kind: 'succeeded' });
  });

  it('where no group can be made, commands run as they do elsewhere, and it is said once', async () => {
    await b.sh('true');
    writeFileSync(join(service.folder, 'cgroup.max.descendants'), '0');
    try {
      expect(await b.sh('echo one')).toMatchObject({ kind: 'succeeded', tail: 'one\n' });
      expect(await b.sh('echo two')).toMatchObject({ kind: 'succeeded', tail: 'two\n' });
    } finally {
      writeFileSync(join(service.folder, 'cgroup.max.descendants'), 'max');
    }
    const complaints = b.logged.filter((line) => line.includes('without a control group'));
    expect(complaints).toEqual([expect.stringContaining('EAGAIN')]);
    expect(await b.sh('cat /proc/self/cgroup')).toMatchObject({ tail: expect.stringContaining('/cape-') });
  });

  it('empty groups that an earlier keeper left are removed by the next one', async () => {
    const left = join(service.folder, 'cape-earlier-7');
    mkdirSync(left);
    await b.sh('true');
    expect(existsSync(left)).toBe(false);
  });

  describe('a worker', () => {
    async function startWorker({ uid = 0, timeoutMs = 60_000 } = {}) {
      const dir = tempDir();
      for (const folder of [dir, b.dir]) chownSync(folder, uid, uid);
      const script = ['-c', `${hiddenSleep(pids)} sleep 300`];
      const spec = { ...specOf(dir, 'hiding', '/bin/sh', script), timeoutMs };
      const job = JSON.stringify({ stateDir: dir, graceMs: GRACE_MS, spec, untilMs: 60_000 });
      const worker = spawn(process.execPath, [fixture('exec-worker.mjs'), job], {
        stdio: ['ignore', 'pipe', 'inherit'],
        uid,
        gid: uid,
      });
      workers.push(worker);
      const lines = createInterface(worker.stdout!);
      const [line] = await once(lines, 'line');
      const ended = once(lines, 'line');
      const { helpers } = JSON.parse(line as string) as { helpers: HelperRecord };
      const [hidden] = await processesIn(pids, 1);
      const identity = identify(worker.pid!)!;
      return { worker: identity, helpers, hidden: hidden!, dir, ended };
    }
    function kill(...processes: ProcessIdentity[]): Promise<number> {
      for (const { pid } of processes) signal(pid, 'SIGSTOP');
      for (const { pid } of processes) signal(pid, 'SIGKILL');
      return allGone(processes, 2000);
    }

    it('of an ordinary user to whom it is delegated leaves nothing either', async () => {
      service.delegate(NOBODY);
      try {
        const { helpers, hidden, dir, ended } = await startWorker({ uid: NOBODY, timeoutMs: 5000 });
        expect(helpers.controlGroup).toBe(service.folder);
        expect(groupOf(hidden.pid)).toMatch(/^cape-/);
        expect((await ended)[0]).toContain('timed_out');
        expect(isAlive(hidden)).toBe(false); // by the keeper; that of the next one by the warden
        pids += '2';
        const second = await startWorker({ uid: NOBODY });
        await kill(second.helpers.keeper, second.worker);
        await allGone([second.hidden, second.helpers.warden!], SOON_MS);
        for (const folder of [dir, second.dir]) rmSync(folder, { recursive: true, force: true });
      } finally {
        service.delegate(0);
      }
    });

    it.each([
      ['killed', (worker: ProcessIdentity) => [worker]],
      ['killed with its keeper', (worker: ProcessIdentity, { keeper }: HelperRecord) => [keeper, worker]],
    ])('that is %s leaves no hidden process, and no group', async (_, victims) => {
      const { worker, helpers, hidden, dir } = await startWorker();
      expect(helpers.controlGroup).toBe(service.folder);
      await kill(...victims(worker, helpers));
      await allGone([hidden, helpers.keeper, helpers.warden!], SOON_MS);
      rmSync(dir, { recursive: true, force: true });
    });

    it('whose keeper is killed has the hidden process ended before the run has ended', async () => {
      const { run, hidden } = await startHiding();
      signal(b.executor.helpers!.keeper.pid, 'SIGKILL');
      expect(await run.ended).toMatchObject({ kind: 'crashed' });
      expect(isAlive(hidden)).toBe(false);
    });

    it('killed with both helpers: the next one on the machine ends it by the record on disk', async () => {
      const { worker, helpers, hidden, dir } = await startWorker();
      await kill(helpers.warden!, helpers.keeper, worker);
      expect(isAlive(hidden)).toBe(true);
      service.leave(); // a neighbour is no part of that service
      try {
        await endOrphans(dir, (line) => expect(line).toBe(''));
        expect(isAlive(hidden)).toBe(false);
        expect(readdirSync(dir).filter((name) => name !== 'hiding.log')).toEqual([]);
      } finally {
        service.enter();
        rmSync(dir, { recursive: true, force: true });
      }
    });

    it('a record from the database alone is believed in its own service only', async () => {
      const { worker, helpers, hidden, dir } = await startWorker();
      await kill(helpers.warden!, helpers.keeper, worker);
      const record = { ...helpers, groupsFile: '/nowhere/groups' };
      service.leave();
      try {
        await endLeftovers(record, worker);
        expect(isAlive(hidden)).toBe(true);
      } finally {
        service.enter();
      }
      expect(await endLeftovers(record, worker)).toBe(true);
      expect(isAlive(hidden)).toBe(false);
      rmSync(dir, { recursive: true, force: true });
    });
  });
});

/** As far as they have not ended yet. */
async function processesOf(file: string): Promise<ProcessIdentity[]> {
  const pids = readFileSync(file, 'utf8').trim().split('\n').map(Number);
  return pids.map(identify).filter((identity) => identity !== null);
}

/** A command must be dead before its issue can run elsewhere: what is left of a worker sees to that, by clocks of its own. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { HelperRecord } from '../../src/execution/spec.js';
import { createTestDatabase } from '../support/database.js';
import { isRunning, issuesOf } from '../support/issues.js';
import { startProxy, type TcpProxy } from '../support/proxy.js';
import { until } from '../support/until.js';
import { tempFolder } from '../support/worker.js';
import { startWorkerProcess, type WorkerProcess } from '../support/worker-process.js';

const { url, sql } = await createTestDatabase();
const { add, issue, attempts, completed, clear } = issuesOf(sql);
const LEASE_MS = 16_000;
const GRACE_MS = 3000;
/** Ended by the worker's or keeper's own clock so long before the lease ends, at the latest. */
const MARGIN_MS = 5000;
// The first attempt goes on for ever; "deaf" ignores SIGTERM, "meek" does not.
const COMMAND = `sh -c 'echo "$1 $2 $$ $CAPE_ATTEMPT" >>ledger; test "$2" != deaf || trap "" TERM; while :; do sleep 0.1; done' sh {id} {description}`;
let cwd: string;
let proxy: TcpProxy;

beforeEach(async () => {
  await clear();
  cwd = tempFolder('cape-fencing-');
  proxy = await startProxy(url);
});
afterEach(() => proxy.close());

const start = (id: string, databaseUrl: string, ...args: string[]) =>
  startWorkerProcess({
    ...{ id, cwd, databaseUrl },
    args: ['--lease', `${LEASE_MS}ms`, '--grace', `${GRACE_MS}ms`, '--no-migrate', ...args],
  });
/** A worker that others can't prove dead: its leases have to run out. */
const startFar = (id: string, databaseUrl: string, ...args: string[]) =>
  start(id, databaseUrl, '--machine-id', 'far', '--command', COMMAND, ...args);
/** It takes over, with a command of its own that notes its start. */
const startOther = () => start('other', url, '--command', `sh -c 'echo "$1 again $$ $CAPE_ATTEMPT" >>ledger' sh {id}`);

interface Entry {
  readonly id: number;
  readonly kind: string;
  readonly pid: number;
}
function ledger(): Entry[] {
  const path = join(cwd, 'ledger');
  const lines = existsSync(path) ? readFileSync(path, 'utf8').trim().split('\n') : [];
  return lines.map((line) => {
    const [id, kind = '', pid] = line.split(' ');
    return { id: Number(id), kind, pid: Number(pid) };
  });
}
const started = (count: number) => until(() => ledger().length === count && ledger(), { what: `${count} starts` });

/** Milliseconds that the lease still has, by the database's clock. */
async function leaseLeft(id: number): Promise<number> {
  const [row] = await sql`
    select (extract(epoch from lease_until - clock_timestamp()) * 1000)::float8 as ms from cape_leases where issue_id = ${id}`;
  return row!.ms;
}

test('a worker that is cut off from the database ends its commands before their leases end, and only then they run elsewhere', async () => {
  await startFar('cut-off', proxy.url(url), '--concurrency', '2');
  const ids = [await add('meek'), await add('deaf')];
  const runs = await started(2);
  // So that renewals have been confirmed: the deadline counts from the last of them.
  const [first] = await sql`select max(lease_until) as until from cape_leases`;
  await until(async () => (await sql`select from cape_leases where lease_until > ${first!.until}`).length === 2);
  proxy.mode = 'blackhole';
  const since = performance.now();
  const left = Math.min(...(await Promise.all(ids.map(leaseLeft))));
  await startOther();
  for (const kind of ['meek', 'deaf']) {
    const run = runs.find((each) => each.kind === kind)!;
    await until(() => !isRunning(run.pid), { timeoutMs: 30_000, what: `the end of the ${kind} command` });
    const took = performance.now() - since;
    console.info(`cut off, ${kind}: dead ${(left - took).toFixed(0)} ms before its lease ended`);
    expect(took).toBeLessThan(left - MARGIN_MS + 3500); // machines are slow at times; the margin is for them
  }
  expect(ledger()).toHaveLength(2);
  for (const id of ids) expect(await completed(id, 60_000)).toMatchObject({ attempt: 2, assigned_worker_id: 'other' });
  proxy.mode = 'pass';
  proxy.reset();
  for (const id of ids) {
    // It comes back, is told that it lost, and has its crash booked as the interruption that it was.
    await until(async () => (await issue(id)).crashes === 0, { timeoutMs: 30_000 });
    expect((await attempts(id)).map(({ outcome }) => outcome)).toEqual(['interrupted', 'succeeded']);
  }
  expect(ledger()).toHaveLength(4);
});

describe.skipIf(process.platform !== 'linux')('a host that is frozen for longer than its leases, and thaws', () => {
  const WORKERS = 3;
  const EACH = 2;

  interface Host {
    readonly worker: WorkerProcess;
    readonly helpers: HelperRecord;
    readonly runs: Entry[];
  }

  async function startHost(n: number): Promise<Host> {
    const before = ledger().length;
    const id = `frozen-${n}`;
    const worker = await startFar(id, url, '--concurrency', String(2 * EACH));
    for (let k = 0; k < EACH; k++) for (const kind of ['meek', 'deaf']) await add(kind, { assigned_worker_id: id });
    const runs = (await started(before + 2 * EACH)).slice(before);
    const [row] = await until(async () => {
      const rows = await sql`select helpers from cape_workers where id = ${id} and helpers is not null`;
      return rows.length === 1 && rows;
    });
    await sql`update cape_issues set target_worker_id = null`; // anyone may have it afterwards
    return { worker, helpers: row!.helpers, runs };
  }

  /** The commands first: a host thaws in an order of its own, and this is the worst. */
  const everything = ({ worker, helpers, runs }: Host) => [
    ...runs.map(({ pid }) => -pid),
    helpers.warden!.pid,
    helpers.keeper.pid,
    worker.pid,
  ];

  /** Milliseconds from the thaw to the death of each command. */
  async function thaw(host: Host): Promise<Map<Entry, number>> {
    const died = new Map<Entry, number>();
    const since = performance.now();
    for (const pid of everything(host)) process.kill(pid, 'SIGCONT');
    while (died.size < host.runs.length) {
      for (const run of host.runs) if (!died.has(run) && !isRunning(run.pid)) died.set(run, performance.now() - since);
      if (performance.now() - since > 20_000) throw new Error('a command outlived its thaw by 20 s');
      await turn();
    }
    return died;
  }

  function told(name: string, times: number[]): void {
    const sorted = times.map(Math.round).sort((a, b) => a - b);
    console.info(
      `thaw to death, ${name}: median ${sorted[sorted.length >> 1]} ms, worst ${sorted.at(-1)} ms (${sorted})`,
    );
  }

  test('runs its commands for an instant beside those that have taken their place, without any grace, and writes nothing', async () => {
    const hosts: Host[] = [];
    for (let n = 1; n <= WORKERS; n++) hosts.push(await startHost(n));
    for (const host of hosts) for (const pid of everything(host).reverse()) process.kill(pid, 'SIGSTOP');
    await startOther();
    await until(async () => (await sql`select from cape_issues where status <> 'completed'`).length === 0, {
      timeoutMs: 90_000,
      what: 'the rescue of all',
    });
    const before =
      await sql`select id, status, attempt, assigned_worker_id, completed_at, result from cape_issues order by id`;
    const times = new Map<Entry, number>();
    for (const host of hosts) for (const [run, ms] of await thaw(host)) times.set(run, ms);
    for (const kind of ['meek', 'deaf'])
      told(
        kind,
        [...times].filter(([run]) => run.kind === kind).map(([, ms]) => ms),
      );
    // With the grace, a deaf one lives for another 3 s.
    expect(Math.max(...times.values())).toBeLessThan(GRACE_MS - 200);
    const heard = ({ worker, runs }: Host) =>
      runs.every(({ id }) => new RegExp(`issue ${id}: attempt 1 (lost|interrupted)`).test(worker.output()));
    await until(() => hosts.every(heard), { timeoutMs: 30_000, what: 'the workers to find out' });
    expect(
      await sql`select id, status, attempt, assigned_worker_id, completed_at, result from cape_issues order by id`,
    ).toEqual(before);
    expect(before.every((row) => row.attempt === 2 && row.assigned_worker_id === 'other')).toBe(true);
  });
});

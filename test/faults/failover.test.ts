/** A primary is killed and its standby promoted, under workers whose DATABASE_URL names both. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Issue } from '../../src/core/issue.js';
import { arrayOf } from '../../src/db/connect.js';
import { isRunning } from '../support/issues.js';
import { LEDGER_COMMAND, ledgerEntries } from '../support/ledger.js';
import { type Machine, prepareMachine } from '../support/postgres-server.js';
import { type Pair, startPair } from '../support/replication.js';
import { until } from '../support/until.js';
import { tempFolder } from '../support/worker.js';
import { startWorkerProcess, type WorkerProcess } from '../support/worker-process.js';

let machine: Machine;
let pair: Pair;
let cwd: string;
let ledger: string;
let pairs = 0;

beforeEach(async () => {
  machine ??= await prepareMachine();
  pair = await startPair(machine, `pair${++pairs}`);
  cwd = tempFolder();
  ledger = join(cwd, 'ledger');
  writeFileSync(ledger, '');
});
afterEach(() => Promise.all([pair?.primary.kill(), pair?.standby.kill()]));
afterAll(() => machine?.remove());

const start = (id: string, databaseUrl: string, ...args: string[]): Promise<WorkerProcess> =>
  startWorkerProcess({
    ...{ id, databaseUrl, cwd },
    args: ['--pass-env', 'LEDGER', '--grace', '1s', '--poll-interval', '1h', '--no-migrate', ...args],
    env: { LEDGER: ledger, CAPE_COMMAND: LEDGER_COMMAND },
  });

const starts = () => ledgerEntries(ledger, 'start');
const ends = () => ledgerEntries(ledger, 'end');

/** Adds issues, and gives their ids, once the commit was confirmed. */
const insert = (server: Pair['primary'], descriptions: readonly string[], runAt: string | null = null) =>
  server.ask(async (sql) => {
    const rows = await sql<{ id: number }[]>`
      insert into cape_issues (description, run_at) select d, now() + ${runAt}::interval
        from unnest(${arrayOf(descriptions)}::text[]) d returning id`;
    return rows.map(({ id }) => id);
  });

const unfinished = (server: Pair['primary']) =>
  server.ask(async (sql) => (await sql`select from cape_issues where completed_at is null`).length);

const listeners = (server: Pair['primary']) =>
  server.ask(async (sql) => {
    const rows = await sql`select from pg_stat_activity where application_name like 'cape-worker % listen'`;
    return rows.length;
  });

/** The lines of a worker that tell of its database. */
const told = (worker: WorkerProcess) =>
  worker
    .output()
    .split('\n')
    .filter((line) => /the database/.test(line));

const since = (time: number) => performance.now() - time;

describe.each(['the primary first', 'the standby first'])(
  'with synchronous replication, and %s in the URL',
  (order) => {
    test('nothing is lost, nothing runs twice or is charged, and commands run on', async () => {
      const { primary, standby } = pair;
      const url = order.startsWith('the primary') ? pair.url(primary, standby) : pair.url(standby, primary);
      await pair.synchronous();
      const workers = await Promise.all([
        start('w1', url, '--concurrency', '3'),
        start('w2', url, '--concurrency', '3'),
      ]);
      const [long] = await insert(primary, ['sleep 10']);
      await until(() => starts().length === 1, { what: 'the long command' });
      const short = await insert(primary, Array(60).fill('sleep 0.3'));
      await until(() => ends().length >= 12, { what: 'work', timeoutMs: 30_000 });

      await primary.kill();
      const inFlight = starts().length - ends().length;
      // A promotion within 0.1 s is no more than a hiccup to them.
      await until(() => workers.every((worker) => told(worker).some((line) => line.includes('trying again'))), {
        what: 'both to notice',
        timeoutMs: 30_000,
      });
      await pair.promote();
      const promoted = performance.now();
      const before = starts().length;
      await until(() => starts().length > before, { what: 'work on the new primary', timeoutMs: 30_000 });
      const resumed = since(promoted);
      await until(async () => (await unfinished(standby)) === 0, { what: 'the rest', timeoutMs: 60_000 });

      // No poll comes for an hour: only a LISTEN on the new primary hears this.
      await until(() => workers.every((worker) => told(worker).some((line) => line.includes('is back after'))), {
        what: 'the lines',
      });
      await until(async () => (await listeners(standby)) === 2, { what: 'both to listen again' });
      const [late] = await insert(standby, ['late']);
      const inserted = performance.now();
      await until(() => starts().some(({ id }) => id === late), { what: 'the late issue', timeoutMs: 30_000 });
      const heard = since(inserted);
      await until(async () => (await unfinished(standby)) === 0, { what: 'the late issue' });
      console.log(
        `failover, ${order}: ${inFlight} commands in flight, work again after ${ms(resumed)}, insert heard after ${ms(heard)}`,
      );

      expect(resumed).toBeLessThan(15_000);
      expect(heard).toBeLessThan(10_000);
      const all = [long, ...short, late].sort((a, b) => a! - b!);
      expect(
        starts()
          .map(({ id }) => id)
          .sort((a, b) => a - b),
      ).toEqual(all);
      expect(
        ends()
          .map(({ id }) => id)
          .sort((a, b) => a - b),
      ).toEqual(all);
      const rows = await standby.ask((sql) => sql<Issue[]>`select * from cape_issues order by id`);
      expect(rows.map(({ id }) => id)).toEqual(all);
      for (const row of rows)
        expect(row).toMatchObject({ status: 'completed', attempt: 1, failures: 0, crashes: 0, snoozes: 0 });
      for (const worker of workers) {
        expect(told(worker).filter((line) => line.includes('trying again until it is back')).length).toBeLessThan(5);
        expect(told(worker).filter((line) => line.includes('is back after'))).toHaveLength(1);
        expect(worker.output()).toContain(
          `the database is the one at ${standby.address} now; it was ${primary.address}`,
        );
      }
    });
  },
);

test('a worker that finds standbys only says so once, and begins when one of them is promoted', async () => {
  const { primary, standby } = pair;
  await insert(primary, ['waiting']);
  await until(() => standby.ask(async (sql) => (await sql`select from cape_issues`).length === 1));
  await primary.kill();
  // A URL of one server, without target_session_attrs: it is connected to, and refuses to write.
  const waiting = [start('plain', standby.url()), start('choosy', pair.url(primary, standby))];
  const logs = ['plain', 'choosy'].map((id) => join(cwd, `logs ${id}`, `worker_${id}.log`));
  const lines = () => logs.map((log) => readFileSync(log, 'utf8').match(/the database .*trying again/g) ?? []);
  await until(() => lines().every((found) => found.length > 0), { what: 'their lines', timeoutMs: 20_000 });
  expect(lines()).toEqual([
    [expect.stringContaining(`the database at ${standby.address} is read-only: a standby`)],
    [expect.stringContaining(`${standby.address} is a standby, which can't be written to`)],
  ]);
  await pair.promote();
  const promoted = performance.now();
  await Promise.all(waiting);
  await until(() => ends().length === 1, { what: 'the work' });
  expect(since(promoted)).toBeLessThan(15_000);
  expect(lines().map((found) => found.length)).toEqual([1, 1]);
});

describe('with asynchronous replication', () => {
  test('what the standby had not got is lost, and a run that it does not know of is ended in seconds', async () => {
    const { primary, standby } = pair;
    const url = pair.url(primary, standby);
    const workers = [await start('w1', url, '--concurrency', '2'), await start('w2', url, '--concurrency', '2')];
    // The standby gets these rows; what becomes of them in five seconds it does not.
    const [running, done] = await insert(primary, ['sleep 120', 'quick'], '5 seconds');
    await pair.cutOff();
    const [lost] = await insert(primary, ['lost']);
    await until(() => ends().length === 2 && starts().length === 3, { what: 'the work', timeoutMs: 30_000 });
    await until(() =>
      primary.ask(async (sql) => (await sql`select from cape_issues where status = 'completed'`).length === 2),
    );
    const first = starts().find(({ id }) => id === running)!;
    expect(isRunning(first.pid)).toBe(true);

    await primary.kill();
    await pair.promote();
    const promoted = performance.now();
    await until(() => !isRunning(first.pid), { what: 'the end of the run nobody knows of', timeoutMs: 30_000 });
    const ended = since(promoted);
    const again = await until(() => starts().filter(({ id }) => id === running)[1], {
      what: 'the second run',
      timeoutMs: 30_000,
    });
    console.log(
      `failover that lost a claim: its run ended ${ms(ended)} after the promotion, by ${again.worker === first.worker ? 'the worker that has it now' : 'its worker'}`,
    );
    // A renewal of a lease of 300 s comes every 15 s; the failover brings one about.
    expect(ended).toBeLessThan(12_000);
    await until(() => ends().filter(({ id }) => id === done).length === 2, { what: 'the second run of the ended one' });
    const rows = await standby.ask((sql) => sql<Issue[]>`select * from cape_issues order by id`);
    expect(rows.map(({ id }) => id)).toEqual([running, done]);
    expect(lost).toBe(done! + 1);
    expect(rows.filter(({ failures, crashes }) => failures + crashes > 0)).toEqual([]);
    for (const worker of workers) expect(worker.child.exitCode).toBeNull();
  });
});

function ms(time: number): string {
  return `${(time / 1000).toFixed(1)} s`;
}

/** The database goes away under working workers, in each way that it can, and comes back. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Issue } from '../../src/core/issue.js';
import { migrate } from '../../src/db/migrate.js';
import { LEDGER_COMMAND, ledgerEntries } from '../support/ledger.js';
import { DATABASE, type Machine, PostgresServer, prepareMachine } from '../support/postgres-server.js';
import { until } from '../support/until.js';
import { tempFolder } from '../support/worker.js';
import { startWorkerProcess, type WorkerProcess } from '../support/worker-process.js';

let machine: Machine;
let server: PostgresServer;
let cwd: string;
let ledger: string;

beforeAll(async () => {
  machine = await prepareMachine();
  server = await PostgresServer.at(machine, 'server');
  await server.initialise();
  await server.start();
  await server.ask((sql) => sql.unsafe(`create database ${DATABASE}`), 'postgres');
  await migrate({ url: server.url(), schema: 'public' });
});
afterAll(() => machine?.remove());

beforeEach(async () => {
  await server.ask((sql) => sql`truncate cape_issues; truncate cape_attempts; truncate cape_workers`.simple());
  cwd = tempFolder();
  ledger = join(cwd, 'ledger');
  writeFileSync(ledger, '');
});

const start = (id: string, ...args: string[]): Promise<WorkerProcess> =>
  startWorkerProcess({
    ...{ id, databaseUrl: server.url(), cwd },
    args: ['--pass-env', 'LEDGER', '--grace', '1s', '--no-migrate', ...args],
    env: { LEDGER: ledger, CAPE_COMMAND: LEDGER_COMMAND },
  });

const starts = () => ledgerEntries(ledger, 'start');
const ends = () => ledgerEntries(ledger, 'end');

const insert = (description: string, count = 1) =>
  server.ask(
    (sql) => sql`insert into cape_issues (description) select ${description} from generate_series(1, ${count})`,
  );

const unfinished = () =>
  server.ask(async (sql) => (await sql`select from cape_issues where completed_at is null`).length);

/** The lines of a worker that tell of its database. */
const told = (worker: WorkerProcess) =>
  worker
    .output()
    .split('\n')
    .filter((line) => line.includes('trying again until it is back') || line.includes('the database is back'));

/** Every issue ran once, as its first attempt, and nothing was charged. */
async function expectOnce(count: number): Promise<void> {
  // Their commands have ended; that is written a moment later.
  await until(async () => (await unfinished()) === 0, { what: 'what came of the issues', timeoutMs: 30_000 });
  const all = Array.from({ length: count }, (_, index) => index);
  const rows = await server.ask((sql) => sql<Issue[]>`select * from cape_issues order by id`);
  expect(rows).toHaveLength(all.length);
  const ids = rows.map(({ id }) => id);
  const sorted = (entries: { id: number }[]) => entries.map(({ id }) => id).sort((a, b) => a - b);
  expect(sorted(starts())).toEqual(ids);
  expect(sorted(ends())).toEqual(ids);
  for (const row of rows) expect(row).toMatchObject({ status: 'completed', attempt: 1, failures: 0, crashes: 0 });
  const attempts = await server.ask((sql) => sql`select from cape_attempts where outcome = 'succeeded'`);
  expect(attempts).toHaveLength(count);
}

const terminateAll = () =>
  server.ask(
    (sql) => sql`select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'cape-worker%'`,
  );

const FAULTS: [what: string, fault: () => Promise<unknown>][] = [
  ['all sessions are ended by an administrator', terminateAll],
  ['the server is restarted, fast', () => server.stop('fast')],
  ['the server is restarted, immediately', () => server.stop('immediate')],
  ['the server is killed with SIGKILL', () => server.kill()],
];

describe.each(FAULTS)('%s', (what, fault) => {
  test('and commands run on, nothing runs twice or is charged, and work goes on within seconds', async () => {
    const workers = await Promise.all([start('w1', '--concurrency', '3'), start('w2', '--concurrency', '3')]);
    await insert('sleep 8');
    await until(() => starts().length === 1, { what: 'the long command' });
    await insert('sleep 0.3', 40);
    let back = 0;
    for (const enough of [8, 20]) {
      await until(() => ends().length >= enough, { what: `${enough} ends`, timeoutMs: 30_000 });
      await fault();
      if (fault !== terminateAll) await pause(1000);
      if (fault !== terminateAll) await server.start();
      const since = performance.now();
      const before = starts().length;
      await until(() => starts().length > before, { what: 'work again', timeoutMs: 30_000 });
      back = Math.max(back, performance.now() - since);
    }
    await until(async () => (await unfinished()) === 0, { what: 'the rest', timeoutMs: 60_000 });
    console.log(`${what}: work again after ${(back / 1000).toFixed(1)} s`);
    expect(back).toBeLessThan(10_000);
    await expectOnce(41);
    // Of two outages: a session that still answers while others are being ended makes one of them two for a moment.
    for (const worker of workers) expect(told(worker).length).toBeLessThanOrEqual(12);
  });
});

test('an outage of half a minute, in which pauses grow, is over for all of a worker within seconds of its end', async () => {
  const worker = await start('patient', '--poll-interval', '1h');
  await insert('sleep 25');
  await until(() => starts().length === 1, { what: 'the long command' });
  // Due while the database is away: to be promoted by the upkeep, whose pause is the longest.
  await server.ask(
    (sql) => sql`insert into cape_issues (description, run_at) values ('due', now() + interval '10 seconds')`,
  );
  await server.stop();
  // 0.1 + 0.2 + ... + 12.8 s are over after 25.5 s; the pause after that is one of 25.6 s.
  await pause(30_000);
  await server.start();
  const since = performance.now();
  await until(async () => (await unfinished()) === 0, { what: 'both', timeoutMs: 60_000 });
  const late = performance.now() - since;
  console.log(`after half a minute: everything written and done ${(late / 1000).toFixed(1)} s after the return`);
  expect(late).toBeLessThan(12_000);
  await expectOnce(2);
  expect(told(worker).length).toBeLessThanOrEqual(4);
});

test('a server that turns read-only is told once and left alone, and worked with as soon as it can be written to', async () => {
  const worker = await start('reader', '--poll-interval', '1s');
  const readOnly = (on: boolean) =>
    server.ask(async (sql) => {
      await sql`set default_transaction_read_only = off`;
      await sql.unsafe(`alter system set default_transaction_read_only = ${on ? 'on' : 'off'}`);
      await sql`select pg_reload_conf()`;
    });
  await readOnly(true);
  try {
    await until(() => told(worker).length > 0, { what: 'its line', timeoutMs: 30_000 });
    await pause(3000);
    expect(told(worker)).toEqual([expect.stringContaining(`the database at ${server.address} is read-only`)]);
  } finally {
    await readOnly(false);
  }
  const since = performance.now();
  await insert('after');
  await until(() => ends().length === 1, { what: 'work', timeoutMs: 30_000 });
  expect(performance.now() - since).toBeLessThan(12_000);
  await expectOnce(1);
});

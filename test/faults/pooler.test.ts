/** Everything through a real pgbouncer, which no URL here announces. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { connect } from '../../src/db/connect.js';
import { failureOf } from '../../src/db/failure.js';
import { migrate } from '../../src/db/migrate.js';
import { cli } from '../cli/run-cli.js';
import { createTestDatabase } from '../support/database.js';
import { issuesOf } from '../support/issues.js';
import { until } from '../support/until.js';
import { tempFolder } from '../support/worker.js';
import { startWorkerProcess } from '../support/worker-process.js';
import { type Pgbouncer, pgbouncerProgram, startPgbouncer } from './pgbouncer.js';

if (pgbouncerProgram === undefined) console.log('the tests of poolers are skipped: pgbouncer is not installed');

const { url: direct, ownerUrl, sql } = await createTestDatabase();
const { add, issue, ended, completed, clear } = issuesOf(sql);
const command = `'${fileURLToPath(new URL('../fixtures/ledger.sh', import.meta.url))}'`;
let cwd: string;
let ledger: string;

beforeEach(async () => {
  await clear();
  cwd = tempFolder();
  ledger = join(cwd, 'ledger');
  writeFileSync(ledger, '');
});

const starts = () => readFileSync(ledger, 'utf8').match(/^start .*$/gm) ?? [];

/** A worker that would hear nothing for an hour without notifications, unless its test says otherwise. */
const startWorker = (databaseUrl: string, id: string, args: string[] = [], env: Record<string, string> = {}) =>
  startWorkerProcess({
    id,
    databaseUrl,
    cwd,
    args: ['--pass-env', 'LEDGER', '--grace', '1s', '--retry-base', '100ms', ...args],
    env: { LEDGER: ledger, CAPE_COMMAND: command, ...env },
  });

describe.skipIf(pgbouncerProgram === undefined)('through pgbouncer', () => {
  /** Pools of a kind live as long as the tests of their group. */
  function pooler(settings: Record<string, string> = {}): { readonly url: string; readonly it: Pgbouncer } {
    let started: Pgbouncer;
    beforeAll(async () => {
      started = await startPgbouncer(direct, settings);
    });
    afterAll(() => started.close());
    return {
      get url() {
        return started.url(direct);
      },
      get it() {
        return started;
      },
    };
  }

  describe('in transaction mode', () => {
    const pool = pooler();
    // A test may have killed it and failed.
    afterEach(() => pool.it.restart());

    test('a worker that is told nothing of it finds out, says that it polls, and works', async () => {
      const worker = await startWorker(pool.url, 'polls', ['--poll-interval', '300ms']);
      const done = await add('sleep 0.1');
      expect(await completed(done)).toMatchObject({ attempt: 1, assigned_worker_id: 'polls' });
      await until(() => worker.output().includes('notifications do not pass'));
      await until(() => worker.output().includes('CAPE_LISTEN_URL may lead past it; polling every 300ms'));
      const waiting = [await add('sleep 0'), await add('sleep 0')];
      for (const id of waiting) await completed(id);
      expect(worker.output().match(/WARNING/g)).toHaveLength(1);
    });

    test('failures are tried again, used up, and the statements of no worker fall over those of another', async () => {
      await startWorker(pool.url, 'fails', ['--poll-interval', '300ms', '--command', 'false', '--max-attempts', '2']);
      const id = await add('never mind');
      expect(await ended(id, 20_000)).toMatchObject({ status: 'failed', attempt: 2, failures: 2 });
    });

    test('leases are renewed: an issue that takes longer than its lease is run once', async () => {
      await startWorker(pool.url, 'renews', ['--poll-interval', '300ms', '--lease', '14s']);
      const id = await add('sleep 17');
      expect(await completed(id)).toMatchObject({ attempt: 1, crashes: 0 });
      expect(starts()).toHaveLength(1);
    });

    test('people and programs do with issues what they can do anywhere', async () => {
      const env = { DATABASE_URL: pool.url };
      const ask = async (...args: string[]) => {
        const { code, stdout, stderr } = await cli(args, { env });
        expect([code, stderr]).toEqual([0, '']);
        return stdout;
      };
      const id = /\d+/.exec(await ask('issues', 'add', 'Fix the login bug'))?.[0] ?? '';
      expect(await ask('issues', 'list')).toContain('Fix the login bug');
      await sql`insert into cape_workers (id, instance, host, machine, pid, pid_start, version, slots)
        values ('alleycat-1', gen_random_uuid(), 'h', 'm', 1, '1', '0', 1)`;
      await ask('issues', 'assign', id, 'alleycat-1');
      await ask('issues', 'cancel', id);
      await ask('issues', 'retry', id);
      expect(await ask('issues', 'show', id)).toContain('alleycat-1');
      expect(await ask('status')).toContain('pending');
      await ask('pause');
      await ask('resume');
      await ask('workers');
      await ask('issues', 'cancel', id);
      await ask('issues', 'delete', id);
      expect(await sql`select from cape_issues`).toHaveLength(0);
    });

    test('check says how a worker would hear of issues', async () => {
      const checked = async (env: Record<string, string>) =>
        (await cli(['check', '--worker-id', 'x', '--command', 'true'], { env })).stdout;
      const polled = await checked({ DATABASE_URL: pool.url });
      expect(polled).toContain(', through a pooler');
      expect(polled).toContain('LISTEN: notifications do not pass (a pooler in transaction mode?)');
      expect(await checked({ DATABASE_URL: pool.url, CAPE_LISTEN_URL: direct })).toContain(
        'LISTEN: notifications are heard through CAPE_LISTEN_URL',
      );
      expect(await checked({ DATABASE_URL: direct })).toContain('LISTEN: notifications are heard\n');
    });

    test('with CAPE_LISTEN_URL past it new issues and cancels are heard at once', async () => {
      const worker = await startWorker(pool.url, 'hears', ['--poll-interval', '1h', '--lease', '1h'], {
        CAPE_LISTEN_URL: direct,
      });
      await until(() => worker.output().includes('notifications are heard through CAPE_LISTEN_URL'));
      await completed(await add('sleep 0'));
      // It waits now, and an insert without a notification would wait for an hour.
      await until(async () => (await sql`select from cape_workers where waiting_until is not null`).length === 1);
      const begin = performance.now();
      const id = await add('sleep 60');
      await until(() => starts().length === 2);
      expect(performance.now() - begin).toBeLessThan(10_000);
      const { code } = await cli(['issues', 'cancel', String(id)], { env: { DATABASE_URL: pool.url } });
      expect(code).toBe(0);
      expect(await ended(id)).toMatchObject({ status: 'cancelled' });
      expect(worker.output()).not.toContain(new URL(direct).password || 'no password');
    });

    test('a CAPE_LISTEN_URL that leads to another database, or to none, is told in one line', async () => {
      const other = await createTestDatabase({ empty: true });
      const elsewhere = await startWorker(pool.url, 'astray', ['--poll-interval', '300ms'], {
        CAPE_LISTEN_URL: other.url,
      });
      await until(() =>
        elsewhere.output().includes('CAPE_LISTEN_URL: what is said through DATABASE_URL is not heard there'),
      );
      const nowhere = await startWorker(pool.url, 'nowhere', ['--poll-interval', '300ms'], {
        CAPE_LISTEN_URL: 'postgres://cape:not-to-be-shown@127.0.0.1:1/cape',
      });
      await until(() => nowhere.output().includes('no notifications from there (connect ECONNREFUSED 127.0.0.1:1)'));
      for (const id of [await add('sleep 0'), await add('sleep 0')]) await completed(id);
      for (const worker of [elsewhere, nowhere]) expect(worker.output().match(/WARNING/g)).toHaveLength(1);
      const env = { DATABASE_URL: pool.url, CAPE_LISTEN_URL: other.url };
      const { code, stdout } = await cli(['check', '--worker-id', 'x', '--command', 'true'], { env });
      expect([code, stdout]).toEqual([78, expect.stringContaining('CAPE_LISTEN_URL: what is said through')]);
    });

    test('200 issues go to four workers, each exactly once', async () => {
      await sql`insert into cape_issues (description) select 'n ' || n from generate_series(1, 200) n`;
      const ids = ['w1', 'w2', 'w3', 'w4'];
      const args = ['--concurrency', '4', '--drain', '--poll-interval', '300ms'];
      const workers = await Promise.all(ids.map((id) => startWorker(pool.url, id, args)));
      expect(await Promise.all(workers.map(({ exited }) => exited))).toEqual([0, 0, 0, 0]);
      expect(await sql`select from cape_issues where status = 'completed' and attempt = 1`).toHaveLength(200);
      expect(new Set(starts().map((line) => line.split(' ')[1])).size).toBe(200);
      expect(starts()).toHaveLength(200);
    });

    test('restarted under work it costs no issue an attempt, and long commands run on', async () => {
      const long = await add('sleep 8');
      const args = ['--concurrency', '4', '--poll-interval', '300ms'];
      const workers = await Promise.all(['w1', 'w2'].map((id) => startWorker(pool.url, id, args)));
      await until(() => starts().length === 1);
      await sql`insert into cape_issues (description) select 'sleep 0.1' from generate_series(1, 60)`;
      for (let n = 0; n < 3; n++) {
        await until(async () => (await sql`select from cape_attempts`).length > n * 15, { timeoutMs: 20_000 });
        await pool.it.restart(500);
      }
      await until(async () => (await sql`select from cape_issues where status = 'completed'`).length === 61, {
        timeoutMs: 60_000,
      });
      expect(await issue(long)).toMatchObject({ attempt: 1 });
      expect(starts()).toHaveLength(61);
      expect(await sql`select from cape_issues where failures + crashes > 0`).toHaveLength(0);
      for (const worker of workers) await until(() => worker.output().includes('the database is back after'));
    });

    test('a statement that gets no answer is given up at its deadline, and the next one is answered', async () => {
      const through = connect({ url: pool.url, schema: 'public', applicationName: 'deadline', deadlineMs: 1_500 });
      await through.query('select 1');
      const begin = performance.now();
      const failure = failureOf(await through.query('select pg_sleep(20)').catch((error) => error));
      expect(failure).toMatchObject({ kind: 'unreachable', unclear: true, code: 'DEADLINE' });
      expect(performance.now() - begin).toBeLessThan(10_000);
      expect(await through.query('select 1 as one')).toEqual([{ one: 1 }]);
      expect(through.pooled).toBe(true);
      await through.close();
    });

    test('a server that is away behind it is waited for, as one that is away itself', async () => {
      const empty = await startPgbouncer(direct.replace(/:\d+\//, ':1/'), {
        server_login_retry: '1',
        query_wait_timeout: '1',
      });
      const through = connect({ url: empty.url(direct), schema: 'public', applicationName: 'away' });
      const failure = failureOf(await through.query('select 1').catch((error) => error));
      expect(failure).toMatchObject({ kind: 'unreachable', unclear: false });
      await through.close();
      await empty.close();
    });

    test('another schema is used where the role brings it along, and refused where not', async () => {
      await sql`create schema own`;
      await migrate({ url: ownerUrl, schema: 'own' });
      const role = `cape_pooled_${process.pid}`;
      await sql.unsafe(
        `create role ${role} login superuser password 'secret'; alter role ${role} set search_path = own`,
      );
      const url = new URL(direct);
      url.username = role;
      url.password = 'secret';
      const own = await startPgbouncer(url.href);
      const through = (of: Pgbouncer, from: string, schema: string) =>
        connect({ url: of.url(from), schema, applicationName: 'schema' });
      const led = through(own, url.href, 'own');
      await led.query(`insert into cape_issues (description) values ('in own')`);
      expect(await sql`select description from own.cape_issues`).toEqual([{ description: 'in own' }]);
      for (const [db, message] of [
        [through(own, url.href, 'public'), 'schema "public": through the pooler tables are looked for in "own"'],
        [through(pool.it, direct, 'own'), 'schema "own": through the pooler tables are looked for in "public"'],
      ] as const) {
        await expect(db.query('select 1')).rejects.toThrow(message);
        await db.close();
      }
      await led.close();
      await own.close();
      await sql.unsafe(`drop schema own cascade; drop role ${role}`);
    });
  });

  describe.each([
    // Postgres' own start-up parameters are taken and dropped: nothing says no, and nothing is as it was asked for.
    [
      'in transaction mode, dropping start-up parameters',
      {
        ignore_startup_parameters:
          'search_path,statement_timeout,idle_in_transaction_session_timeout,jit,enable_seqscan,enable_nestloop,plan_cache_mode',
      },
      'do not pass',
    ],
    // Each worker holds three sessions, and a fourth for an instant.
    ['in session mode', { pool_mode: 'session', default_pool_size: '20' }, 'are heard'],
  ] as const)('%s', (_, settings, hearing) => {
    const pool = pooler({ ...settings });

    test('two workers share the work, and nothing depends on what a session remembers', async () => {
      const args = ['--concurrency', '2', '--poll-interval', '300ms'];
      const workers = await Promise.all(['w1', 'w2'].map((id) => startWorker(pool.url, id, args)));
      await sql`insert into cape_issues (description) select 'sleep 0.05' from generate_series(1, 30)`;
      await until(async () => (await sql`select from cape_issues where status = 'completed'`).length === 30, {
        timeoutMs: 30_000,
      });
      expect(starts()).toHaveLength(30);
      const { stdout } = await cli(['check', '--command', 'true'], { env: { DATABASE_URL: pool.url } });
      expect(stdout).toContain(', through a pooler');
      expect(stdout).toContain(`LISTEN: notifications ${hearing}`);
      for (const worker of workers) expect(worker.output()).not.toMatch(/prepared statement|out of reach/);
    });
  });
});

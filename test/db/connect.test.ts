import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, beforeAll, expect, test } from 'vitest';
import { arrayOf, type ConnectOptions, connect, type Database, serverVersion } from '../../src/db/connect.js';
import { failureOf } from '../../src/db/failure.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { startProxy, type TcpProxy } from '../support/proxy.js';
import { until } from '../support/until.js';

let database: TestDatabase;
const opened: { close(): Promise<void> }[] = [];

beforeAll(async () => {
  database = await createTestDatabase({ empty: true });
  await database.sql`create table notes (id serial primary key, note text not null unique)`;
});

afterEach(async () => {
  await Promise.all(opened.splice(0).map((one) => one.close()));
});

function open(options: Partial<ConnectOptions> = {}): Database {
  const db = connect({ url: database.url, schema: 'public', applicationName: 'connect-test', ...options });
  opened.push(db);
  return db;
}

async function openProxy(): Promise<TcpProxy> {
  const proxy = await startProxy(database.url);
  opened.push(proxy);
  return proxy;
}

async function failure(promise: Promise<unknown>) {
  return failureOf(
    await promise.then(
      () => undefined,
      (error: unknown) => error,
    ),
  );
}

test('a query gives rows as plain objects with the types of the contract', async () => {
  const [row] = await open().query<Record<string, unknown>>(
    `select $1::int as a, $2::text as b, now() as at, 5::bigint as big, $3::text::json as js, $4::boolean as yes,
       $5::timestamptz as when_, $6::int[] @> array[2] as has, $7::text as nothing`,
    [1, 'ü\n', '{"x":1}', true, new Date(0), arrayOf([1, 2]), null],
  );
  expect(row).toEqual({
    a: 1,
    b: 'ü\n',
    at: expect.any(Date),
    big: '5',
    js: { x: 1 },
    yes: true,
    when_: new Date(0),
    has: true,
    nothing: null,
  });
});

test('an array literal survives every character', async () => {
  const texts = ['a"b', 'c\\d', '{e,f}', '', 'null', 'g\nh'];
  const rows = await open().query<{ t: string }>('select unnest($1::text[]) as t', [arrayOf(texts)]);
  expect(rows.map((row) => row.t)).toEqual(texts);
});

test('a session carries its name, its schema and the planner settings', async () => {
  const [row] = await open({ schema: 'we"ird', planner: true }).query(
    `select current_setting('search_path') as path, current_setting('application_name') as name,
       current_setting('jit') as jit, current_setting('enable_seqscan') as seq, current_setting('plan_cache_mode') as plan`,
  );
  expect(row).toEqual({
    path: '"we""ird", pg_temp',
    name: 'connect-test',
    jit: 'off',
    seq: 'off',
    plan: 'force_generic_plan',
  });
});

test('statements are prepared once and used again', async () => {
  const db = open();
  for (let i = 0; i < 3; i++) await db.query('select $1::int + 41 as n', [i]);
  const [row] = await db.query<{ n: number }>(
    `select count(*)::int as n from pg_prepared_statements where statement like '%+ 41 as n'`,
  );
  expect(row?.n).toBe(1);
});

test('what was sent with a statement does not outlive its answer and a young collection', async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as (options?: object) => void;
  const db = open();
  const ask = (bytes: number) =>
    db.query('select length($1::text)', ['x'.repeat(bytes - 2) + Math.random().toFixed(0)]);
  await ask(100);
  collect();
  const before = process.memoryUsage().heapUsed;
  for (let n = 1; n <= 50; n++) {
    await ask(100_000);
    if (n % 10 === 0) collect({ type: 'minor' });
  }
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(1_000_000); // or five million
});

test('behind a pooler nothing is used that belongs to a session', async () => {
  const db = open({ url: `${database.url}?pgbouncer=true`, planner: true });
  await db.query('select $1::int as n', [1]);
  const [row] = await db.query(
    `select current_setting('enable_seqscan') as seq, (select count(*)::int from pg_prepared_statements) as prepared`,
  );
  expect(row).toEqual({ seq: 'on', prepared: 0 });
  expect(db.pooled).toBe(true);
});

test('behind a pooler a schema that the role is not led to is refused, rather than that another one is used', async () => {
  const own = open({ url: `${database.url}?pgbouncer=true`, schema: 'own' });
  await expect(own.query('select 1')).rejects.toThrow(
    'schema "own": through the pooler tables are looked for in "public"; run: ALTER ROLE',
  );
});

test('a transaction commits its work, and rolls back where the work throws', async () => {
  const db = open();
  await db.transaction((tx) => tx.query(`insert into notes (note) values ('kept')`));
  await expect(
    db.transaction(async (tx) => {
      await tx.query(`insert into notes (note) values ('dropped')`);
      throw new Error('changed my mind');
    }),
  ).rejects.toThrow('changed my mind');
  expect(await db.query(`select note from notes where note in ('kept', 'dropped')`)).toEqual([{ note: 'kept' }]);
});

test('a transaction whose work swallowed a failed statement does not pass for committed', async () => {
  const work = open().transaction(async (tx) => {
    await tx.query('select 1 / 0').catch(() => {});
  });
  await expect(work).rejects.toMatchObject({ code: 'ROLLED_BACK' });
});

test('queries beyond the connections wait for their turn', async () => {
  const db = open({ connections: 2 });
  const rows = await Promise.all(
    Array.from({ length: 20 }, (_, i) =>
      db.query<{ i: number; pid: number }>('select $1::int i, pg_backend_pid() pid', [i]),
    ),
  );
  expect(rows.map(([row]) => row?.i)).toEqual(Array.from({ length: 20 }, (_, i) => i));
  expect(new Set(rows.map(([row]) => row?.pid)).size).toBe(2);
});

test('a query on a connection that has died silently ends at its deadline, and the next one gets a new connection', async () => {
  const proxy = await openProxy();
  const db = open({ url: proxy.url(database.url), deadlineMs: 1_000 });
  await db.query('select 1');
  proxy.mode = 'blackhole';
  const begin = performance.now();
  expect(await failure(db.query(`insert into notes (note) values ('swallowed')`))).toMatchObject({
    kind: 'unreachable',
    unclear: true,
    code: 'DEADLINE',
  });
  expect(performance.now() - begin).toBeLessThan(10_000);
  proxy.mode = 'pass';
  await db.query('select 1');
  expect(proxy.accepted).toBe(2);
});

test('a server that swallows the login is given up at the deadline as well', async () => {
  const proxy = await openProxy();
  proxy.mode = 'blackhole';
  const db = open({ url: proxy.url(database.url), deadlineMs: 1_000 });
  expect(await failure(db.query('select 1'))).toMatchObject({ kind: 'unreachable', unclear: false });
  proxy.mode = 'pass';
  await db.query('select 1');
});

test('closing does not wait for a connection that has died silently', async () => {
  const proxy = await openProxy();
  const db = open({ url: proxy.url(database.url) });
  await db.query('select 1');
  proxy.mode = 'blackhole';
  const lost = failure(db.query('select 2'));
  const begin = performance.now();
  await db.close();
  expect(performance.now() - begin).toBeLessThan(10_000); // of the deadline's 15 s
  expect((await lost).kind).toBe('unreachable');
});

test('a server that hangs up at the login is tried twice, then reported', async () => {
  const proxy = await openProxy();
  proxy.mode = 'refuse';
  const db = open({ url: proxy.url(database.url) });
  expect((await failure(db.query('select 1'))).kind).toBe('unreachable');
  expect(proxy.accepted).toBeLessThanOrEqual(2);
});

test('a transaction that loses its connection does not go on outside of it', async () => {
  const db = open();
  const work = db.transaction(async (tx) => {
    const [row] = await tx.query<{ pid: number }>('select pg_backend_pid() as pid');
    await database.sql`select pg_terminate_backend(${row!.pid})`;
    await until(
      () =>
        tx.query('select 1').then(
          () => false,
          () => true,
        ),
      { what: 'the transaction to notice' },
    );
    await tx.query(`insert into notes (note) values ('outside')`).catch(() => {});
  });
  expect((await failure(work)).kind).toBe('unreachable');
  expect(await db.query(`select 1 from notes where note = 'outside'`)).toEqual([]);
});

test('what is sent right after a connection was reset fails at once too, and nobody waits for the rollback', async () => {
  const proxy = await openProxy();
  const db = open({ url: proxy.url(database.url), deadlineMs: 30_000 });
  for (let i = 0; i < 5; i++) {
    await db.query('select 1');
    const begin = performance.now();
    const work = db.transaction(async (tx) => {
      proxy.reset();
      await tx.query('select 1').catch(() => {});
      await tx.query('select 2');
    });
    expect((await failure(work)).kind).toBe('unreachable');
    expect(performance.now() - begin).toBeLessThan(15_000);
  }
}, 90_000);

test('several hosts are tried in turn until one answers', async () => {
  const port = new URL(database.url).port;
  const url = database.url.replace(/@[^/]*\//, `@127.0.0.1:1,127.0.0.1:${port || 5432}/`);
  const [row] = await open({ url }).query('select 1 as one');
  expect(row).toEqual({ one: 1 });
});

test('of several servers the primary is looked for, and where there is none each is named', async () => {
  const port = new URL(database.url).port || '5432';
  const url = database.url.replace(/@[^/]*\//, `@127.0.0.1:1,127.0.0.1:${port},127.0.0.1:2/`);
  const db = open({ url: `${url}?target_session_attrs=primary` });
  for (let i = 0; i < 3; i++) await db.query('select 1');
  const nobody = open({ url: 'postgres://cape@127.0.0.1:1,127.0.0.1:2/cape' });
  expect(await failure(nobody.query('select 1'))).toMatchObject({
    kind: 'unreachable',
    unclear: false,
    message: 'connect ECONNREFUSED 127.0.0.1:1; connect ECONNREFUSED 127.0.0.1:2',
  });
});

test('a server set to read only is dropped, so that the next query looks for another', async () => {
  const db = open({ url: `${database.url}?options=-c%20default_transaction_read_only%3Don` });
  const pid = async () => (await db.query<{ pid: number }>('select pg_backend_pid() as pid'))[0]?.pid;
  const before = await pid();
  expect((await failure(db.query(`insert into notes (note) values ('x')`))).kind).toBe('readonly');
  expect(await pid()).not.toBe(before);
});

test('after closing every query is refused', async () => {
  const db = open();
  await db.close();
  expect(await failure(db.query('select 1'))).toMatchObject({ kind: 'unreachable', unclear: false, code: 'CLOSED' });
});

test('the version of a server is told, and one before 13 refused', async () => {
  expect(await serverVersion(open())).toBeGreaterThanOrEqual(130000);
  const old = { query: async () => [{ number: 120003, text: '12.3' }] } as unknown as Database;
  await expect(serverVersion(old)).rejects.toThrow('the server is Postgres 12.3; 13 or newer is needed');
});

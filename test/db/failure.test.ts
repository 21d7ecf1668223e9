import { afterAll, beforeAll, expect, test } from 'vitest';
import { connect, type Database } from '../../src/db/connect.js';
import { databaseError, type Failure, failureOf } from '../../src/db/failure.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { startProxy, type TcpProxy } from '../support/proxy.js';
import { until } from '../support/until.js';

let database: TestDatabase;
let proxy: TcpProxy;
const opened: Database[] = [];

beforeAll(async () => {
  database = await createTestDatabase({ empty: true });
  await database.sql`create table notes (id int primary key, note varchar(3))`;
  proxy = await startProxy(database.url);
});

afterAll(async () => {
  await Promise.all(opened.map((db) => db.close()));
  await proxy.close();
});

function open(url: string = database.url, deadlineMs = 5_000): Database {
  const db = connect({ url, schema: 'public', applicationName: 'failure-test', deadlineMs });
  opened.push(db);
  return db;
}

async function failure(query: Promise<unknown>): Promise<Failure> {
  return query.then(
    () => {
      throw new Error('the query did not fail');
    },
    (error: unknown) => failureOf(error),
  );
}

function changed(change: (url: URL) => void): string {
  const url = new URL(database.url);
  change(url);
  return url.href;
}

test('nobody listens at the port: unreachable, and nothing was sent', async () => {
  expect(await failure(open('postgres://cape@127.0.0.1:1/cape').query('select 1'))).toEqual({
    kind: 'unreachable',
    unclear: false,
    code: 'ECONNREFUSED',
    message: 'connect ECONNREFUSED 127.0.0.1:1',
    server: '127.0.0.1:1',
  });
});

test('an unknown host name: unreachable, and nothing was sent', async () => {
  const found = await failure(open('postgres://cape@no-such-host.invalid/cape').query('select 1'));
  expect(found).toMatchObject({ kind: 'unreachable', unclear: false });
});

test('a socket file that is not there: unreachable, and nothing was sent', async () => {
  const found = await failure(open('postgres:///cape?host=/nowhere').query('select 1'));
  expect(found).toMatchObject({ kind: 'unreachable', unclear: false, code: 'ENOENT' });
});

test('a login that the server refuses: refused', async () => {
  // A wrong user as well: a test server may trust every password.
  const wrong = changed((url) => {
    url.username = 'no_such_role';
    url.password = 'wrong';
  });
  const found = await failure(open(wrong).query('select 1'));
  expect(found).toMatchObject({ kind: 'refused', unclear: false, code: expect.stringMatching(/^28/) });
});

test('a database that does not exist: refused', async () => {
  const missing = changed((url) => {
    url.pathname = '/no_such_database';
  });
  expect(await failure(open(missing).query('select 1'))).toMatchObject({ kind: 'refused', code: '3D000' });
});

test('TLS asked of a server that has none: refused, with what was asked', async () => {
  const [row] = await database.sql`select current_setting('ssl') as ssl`;
  if (row?.ssl === 'on') return;
  const found = await failure(open(`${database.url}?sslmode=require`).query('select 1'));
  expect(found).toMatchObject({ kind: 'refused', code: 'TLS', unclear: false });
  expect(found.message).toContain('does not offer TLS, which sslmode=require asks for');
});

test('the backend ended in mid-query: unreachable, and unclear', async () => {
  const db = open();
  const [row] = await db.query<{ pid: number }>('select pg_backend_pid() as pid');
  const sleeping = failure(db.query('select pg_sleep(20)'));
  const isSleeping = () =>
    database.sql`select 1 from pg_stat_activity where pid = ${row!.pid} and wait_event = 'PgSleep'`;
  await until(async () => (await isSleeping()).length > 0, { what: 'the query to run' });
  await database.sql`select pg_terminate_backend(${row!.pid})`;
  expect(await sleeping).toMatchObject({ kind: 'unreachable', unclear: true });
});

test('the reply cut off: unclear, and the statement was in fact carried out', async () => {
  const db = open(proxy.url(database.url));
  await db.query('insert into notes values ($1::int, $2)', [1, 'a']);
  proxy.mode = 'cut';
  expect(await failure(db.query('insert into notes values ($1::int, $2)', [2, 'b']))).toMatchObject({
    kind: 'unreachable',
    unclear: true,
  });
  proxy.mode = 'pass';
  await until(async () => (await database.sql`select 1 from notes where id = 2`).length === 1, { what: 'the row' });
  expect(await db.query('select count(*)::int as n from notes')).toEqual([{ n: 2 }]);
});

test('the connection reset in mid-query: unclear', async () => {
  const db = open(proxy.url(database.url));
  await db.query('select 1');
  const sleeping = failure(db.query('select pg_sleep(20)'));
  const active = () =>
    database.sql`select 1 from pg_stat_activity where application_name = 'failure-test' and wait_event = 'PgSleep'`;
  await until(async () => (await active()).length > 0, { what: 'the query to run' });
  proxy.reset();
  expect(await sleeping).toMatchObject({ kind: 'unreachable', unclear: true });
});

test('a statement over the server-side limit: transient, and clear', async () => {
  const db = open(database.url, 2_000);
  await db.query('select 1');
  expect(await failure(db.query('select pg_sleep(20)'))).toMatchObject({
    kind: 'transient',
    unclear: false,
    code: '57014',
  });
});

test('a read-only transaction: readonly', async () => {
  const work = open().transaction(async (tx) => {
    await tx.query('set transaction read only');
    await tx.query('delete from notes');
  });
  expect(await failure(work)).toMatchObject({ kind: 'readonly', unclear: false, code: '25006' });
});

test('a lock that is not to be had: transient', async () => {
  await database.sql.begin(async (sql) => {
    await sql`lock table notes`;
    const work = open().transaction(async (tx) => {
      await tx.query(`set local lock_timeout = '100ms'`);
      await tx.query('delete from notes');
    });
    expect(await failure(work)).toMatchObject({ kind: 'transient', code: '55P03' });
  });
});

test.each([
  ['a missing table', 'select 1 from no_such_table', 'schema', '42P01'],
  ['a missing column', 'select nothing from notes', 'schema', '42703'],
  ['a missing function', 'select no_such_function()', 'schema', '42883'],
  ['a key that exists', `insert into notes values (7, 'a'), (7, 'b')`, 'data', '23505'],
  ['a text too long', `insert into notes values (8, 'abcd')`, 'data', '22001'],
  ['a division by zero', 'select 1 / 0', 'data', '22012'],
  ['a syntax error', 'selec 1', 'other', '42601'],
])('%s is named by its SQLSTATE', async (_, statement, kind, code) => {
  expect(await failure(open().query(statement))).toMatchObject({ kind, code, unclear: false });
});

test('a NUL in a text: data', async () => {
  expect(await failure(open().query('select $1::text', ['a\0b']))).toMatchObject({ kind: 'data', unclear: false });
});

test('a role without rights: permission', async () => {
  const role = `cape_failure_${process.pid}`;
  await database.sql.unsafe(`create role ${role} login password 'secret'`);
  const db = open(
    changed((url) => {
      url.username = role;
      url.password = 'secret';
    }),
  );
  expect(await failure(db.query('select * from notes'))).toMatchObject({ kind: 'permission', code: '42501' });
  await db.close();
  await database.sql.unsafe(`drop role ${role}`);
});

test('what is no database error is named other, with its first line', () => {
  expect(failureOf(new TypeError('x is not a function\n  at y'))).toEqual({
    kind: 'other',
    unclear: false,
    code: null,
    message: 'x is not a function',
    server: null,
  });
  expect(failureOf(undefined).kind).toBe('other');
});

test('for people the database is named without its password', () => {
  const error = databaseError('postgres://u:secret@h/d', new Error('no\nway'));
  expect(error).toMatchObject({ kind: 'database', message: 'database "postgres://u:***@h/d": no' });
});

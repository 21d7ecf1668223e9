import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { migrate, migrationStatus } from '../../src/db/migrate.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { until } from '../support/until.js';

const HEADER = '-- oldest-program: 0.1.0\n';
let database: TestDatabase;
let dir: string;

beforeEach(async () => {
  database = await createTestDatabase({ empty: true });
  dir = await mkdtemp(join(tmpdir(), 'cape-migrations-'));
  await file('001_things.sql', 'create table things (id int); insert into things values (1);');
  await file('002_more.sql', 'insert into things values (2);');
});

afterEach(async () => {
  await database.close();
  await rm(dir, { recursive: true });
});

function file(name: string, sql: string, header = HEADER): Promise<void> {
  return writeFile(join(dir, name), header + sql);
}

function run(options: { url?: string; schema?: string; log?: (line: string) => void; waitMs?: number } = {}) {
  return migrate({ url: database.url, schema: 'public', dir, ...options });
}

async function things(): Promise<number[]> {
  return (await database.sql`select id from things order by id`).map((row) => row.id as number);
}

test('files are applied in order, told, recorded, and not applied again', async () => {
  const lines: string[] = [];
  expect(await run({ log: (line) => lines.push(line) })).toEqual({ applied: ['001_things', '002_more'], version: 2 });
  expect(lines).toEqual(['migration 001_things applied', 'migration 002_more applied']);
  expect(await run()).toEqual({ applied: [], version: 2 });
  expect(await things()).toEqual([1, 2]);
});

test('the status of a database names what is applied, pending and changed', async () => {
  expect(await migrationStatus(database.db, dir)).toMatchObject({ applied: [], pending: ['001_things', '002_more'] });
  await run();
  await file('003_third.sql', 'insert into things values (3);');
  await file('002_more.sql', 'insert into things values (99);');
  expect(await migrationStatus(database.db, dir)).toMatchObject({
    applied: [{ version: 1, name: '001_things', applied_at: expect.any(Date) }, { version: 2 }],
    pending: ['003_third'],
    changed: ['002_more'],
    version: 2,
    newest: 3,
    tooNew: null,
  });
});

test('four programs that migrate at once all succeed, and each file is applied once', async () => {
  await file('003_slow.sql', 'select pg_sleep(0.3); insert into things values (3);');
  const results = await Promise.all([run(), run(), run(), run()]);
  expect(results.map((result) => result.version)).toEqual([3, 3, 3, 3]);
  expect(results.flatMap((result) => result.applied)).toEqual(['001_things', '002_more', '003_slow']);
  expect(await things()).toEqual([1, 2, 3]);
});

test('a program that waits too long for another one says so', async () => {
  await database.sql.begin(async (sql) => {
    await sql`select pg_advisory_xact_lock(hashtext('cape_migrations'), hashtext('public'))`;
    await expect(run({ waitMs: 300 })).rejects.toThrow('another program has been migrating schema "public" for 0.3 s');
  });
});

test('a migration that fails leaves nothing of itself, and those before it stay', async () => {
  await file('003_bad.sql', 'insert into things values (3); select 1 / 0;');
  await expect(run()).rejects.toMatchObject({ kind: 'database', message: 'migration 003_bad: division by zero' });
  expect(await things()).toEqual([1, 2]);
  expect(await migrationStatus(database.db, dir)).toMatchObject({ version: 2, pending: ['003_bad'] });
});

test('a changed file is refused by name', async () => {
  await run();
  await file('001_things.sql', 'create table other (id int);');
  await expect(run()).rejects.toThrow('migration 001_things was changed after it had been applied');
});

test('line ends changed by git are no change', async () => {
  await run();
  await file('002_more.sql', 'insert into things values (2);', HEADER.replace('\n', '\r\n'));
  expect((await run()).applied).toEqual([]);
});

test('a schema is created where it is missing, and functions are fixed to it', async () => {
  await file(
    '003_function.sql',
    `create function count_things() returns bigint language plpgsql set search_path from current as
     $$ begin return (select count(*) from things); end $$;`,
  );
  await run({ schema: 'Own "one"' });
  const [row] = await database.sql`select "Own ""one""".count_things() as n`;
  expect(row?.n).toBe('2');
});

test('a database ahead of the program is refused only where it needs a newer program', async () => {
  await run();
  const ahead = (oldest: string, version: number) =>
    database.sql`insert into cape_migrations values (${version}, 'x', 'x', ${oldest}, now())`;
  await ahead('0.1.0', 8);
  expect(await run()).toEqual({ applied: [], version: 8 });
  await ahead('99.2.10', 9);
  await ahead('0.1.0', 10);
  await expect(run()).rejects.toThrow(/migration 10, which needs cape-worker 99\.2\.10 or newer; this is \d/);
});

test('a role without rights is told what it lacks, and may start where nothing is missing', async () => {
  await run();
  const role = `cape_role_${process.pid}`;
  await database.sql.unsafe(`create role ${role} login password 'secret';
    revoke create on schema public from public; grant select on cape_migrations to ${role}`);
  try {
    const url = new URL(database.url);
    url.username = role;
    url.password = 'secret';
    expect(await run({ url: url.href })).toEqual({ applied: [], version: 2 });
    await file('003_alter.sql', 'alter table things add column extra int;');
    const refused = run({ url: url.href });
    await expect(refused).rejects.toMatchObject({ kind: 'database' });
    await expect(refused).rejects.toThrow(`migration 003_alter: role "${role}" may not: must be owner of table things`);
  } finally {
    await database.sql.unsafe(`drop owned by ${role}; drop role ${role}`);
  }
});

test('a statement that allows no transaction runs without one', async () => {
  await file('003_index.sql', 'create index concurrently things_id on things (id)', `${HEADER}-- no-transaction\n`);
  expect((await run()).version).toBe(3);
});

test('a migration that meets a locked table gives up and says why', async () => {
  await run();
  await file('003_locked.sql', `set local lock_timeout = '200ms'; alter table things add column extra int;`);
  await database.sql.begin(async (sql) => {
    await sql`lock table things in access share mode`;
    await expect(run()).rejects.toThrow(/migration 003_locked: .*another session holds a table it needs/);
  });
});

test('a program that is killed in the middle leaves the lock to the next', async () => {
  await file('003_slow.sql', 'select pg_sleep(20);');
  const cut = expect(run()).rejects.toMatchObject({ kind: 'database' });
  const running = async () =>
    (
      await database.sql`select pid from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'`
    )[0];
  const { pid } = await until(running, { what: 'the slow migration to run' });
  await database.sql`select pg_terminate_backend(${pid as number})`;
  await cut;
  await file('003_slow.sql', 'insert into things values (3);');
  expect((await run()).applied).toEqual(['003_slow']);
});

test('nothing is applied through a pooler, where the lock would stay with strangers', async () => {
  const url = `${database.url}?pgbouncer=true`;
  await expect(run({ url })).rejects.toThrow("migrations can't be applied through a pooler");
  await run();
  expect(await run({ url })).toEqual({ applied: [], version: 2 });
});

test('a folder, a name, a header or a URL that does not fit is named', async () => {
  await mkdir(join(dir, 'empty'));
  await expect(migrate({ url: database.url, schema: 'public', dir: join(dir, 'empty') })).rejects.toThrow(
    'no migrations',
  );
  await expect(migrate({ url: 'mysql://u:secret@h/d', schema: 'public', dir })).rejects.toThrow(
    'database URL "***": expected postgres://',
  );
  await expect(run({ url: 'postgres://cape:secret@127.0.0.1:1/x' })).rejects.toThrow(
    'database "postgres://cape:***@127.0.0.1:1/x": connect ECONNREFUSED 127.0.0.1:1',
  );
  await file('2_more.sql', 'select 1;');
  await expect(run()).rejects.toThrow('have the same number');
  await rm(join(dir, '2_more.sql'));
  await file('readme.sql', 'select 1;');
  await expect(run()).rejects.toThrow('migration readme.sql: the name must be like 001_issues.sql');
  await rm(join(dir, 'readme.sql'));
  await file('003_headless.sql', 'select 1;', '');
  await expect(run()).rejects.toThrow('003_headless.sql: its header must say "-- oldest-program: x.y.z"');
});

/** What a role of `migrate --grant` can't do. That it can do its work is shown by all other tests, which have one. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { connect, type Database } from '../../src/db/connect.js';
import { failureOf } from '../../src/db/failure.js';
import { enqueue } from '../../src/queue/enqueue.js';
import { list } from '../../src/queue/list.js';
import { get } from '../../src/queue/read.js';
import { grantRights, type RoleKind, rightsOf } from '../../src/queue/rights.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { actor, claimAs, insert } from './actors.js';

const names: string[] = [];
let t: TestDatabase;

beforeAll(async () => {
  t = await createTestDatabase();
  await t.sql`create schema other_program create table secrets (word text)`;
});

afterAll(async () => {
  for (const name of names) await t.sql.unsafe(`drop owned by ${name}; drop role ${name}`);
});

/** A role of the server with nothing but its login, dropped at the end. */
async function role(kind?: RoleKind): Promise<{ name: string; db: Database }> {
  const name = `cape_role_${process.pid}_${names.length}`;
  names.push(name);
  await t.sql.unsafe(`create role ${name} login password 'secret'`);
  if (kind) await asOwner((owner) => grantRights(owner, name, kind));
  const url = new URL(t.url);
  url.username = name;
  url.password = 'secret';
  return { name, db: connect({ url: url.href, schema: 'public', applicationName: 'cape-test-role' }) };
}

async function asOwner<T>(work: (owner: Database) => Promise<T>): Promise<T> {
  const owner = connect({ url: t.ownerUrl, schema: 'public', applicationName: 'cape-test-owner' });
  try {
    return await work(owner);
  } finally {
    await owner.close();
  }
}

/** The SQLSTATE of the refusal, or 'done'. */
async function tried(db: Database, statement: string): Promise<string | null> {
  return db.query(statement).then(
    () => 'done',
    (error) => failureOf(error).code,
  );
}

const FORBIDDEN = [
  'create table public.mine (id int)',
  'create function public.mine() returns int language sql as $$select 1$$',
  'create schema mine',
  'alter table cape_issues add column mine int',
  'alter table cape_issues disable trigger all',
  'alter table cape_issues rename to mine',
  'alter function cape_deleted() rename to mine',
  `create or replace function cape_deleted() returns trigger language plpgsql as 'begin return null; end'`,
  'create index on cape_issues (description)',
  'create trigger mine after insert on cape_issues for each statement execute function cape_events_told()',
  'drop trigger cape_deleted on cape_issues',
  'drop table cape_issues',
  'truncate cape_issues',
  'truncate cape_attempts',
  'truncate cape_events',
  `insert into cape_migrations (version, name, checksum, oldest_program) values (99, 'x', 'x', '99.0.0')`,
  `update cape_migrations set checksum = 'x'`,
  'delete from cape_migrations',
  'update cape_identity set id = gen_random_uuid()',
  'delete from cape_workers',
  `select setval('cape_issues_id_seq', 1)`,
  `select nextval('cape_marks')`,
  `select setval('cape_marks_over', 1)`,
  'select cape_wake_waiting()',
  'select * from other_program.secrets',
  `select cape_end_lease(1, 'x')`,
  `select cape_tell(1, 1, 1, 'x', null)`,
  `set session_replication_role = 'replica'`,
];

test.each(FORBIDDEN)('a worker may not: %s', async (statement) => {
  expect(await tried(t.db, statement)).toBe('42501');
});

test('a worker has what it needs and nothing beyond', async () => {
  expect(await rightsOf(t.db, null, 'worker')).toMatchObject({ lacks: [], beyond: [] });
});

describe('a producer', () => {
  let db: Database;
  beforeAll(async () => {
    ({ db } = await role('producer'));
  });
  afterAll(() => db.close());

  test('adds issues with all that an issue may have, also by key, and reads them', async () => {
    const [id] = await enqueue(db, [
      { description: 'added', priority: 3, worker: 'w-1', maxAttempts: 2, timeoutSeconds: 9, delayMs: 100, key: 'k' },
    ]);
    expect(await enqueue(db, [{ description: 'again', key: 'k' }])).toEqual([id]);
    expect(await get(db, id!)).toMatchObject({ description: 'added', priority: 3, key: 'k' });
    expect(await list(db, { search: 'added' })).toHaveLength(1);
    await t.sql`delete from cape_issues`;
  });

  test.each([
    `insert into cape_issues (id, description) values (7, 'x')`,
    `insert into cape_issues (description, status) values ('x', 'started')`,
    `insert into cape_issues (description, attempt) values ('x', 2147483647)`,
    `insert into cape_issues (description, leased) values ('x', true)`,
    'update cape_issues set priority = 9',
    'delete from cape_issues',
    'select * from cape_workers',
    'insert into cape_pauses values (42)',
    ...FORBIDDEN,
  ])('may not: %s', async (statement) => {
    expect(await tried(db, statement)).toBe('42501');
  });
});

test('a reader reads all tables and writes none', async () => {
  const { db, name } = await role('reader');
  for (const table of [
    'issues',
    'leases',
    'attempts',
    'events',
    'readers',
    'workers',
    'pauses',
    'identity',
    'migrations',
  ]) {
    await db.query(`select * from cape_${table}`);
    expect(await tried(db, `delete from cape_${table}`)).toBe('42501');
  }
  expect(await tried(db, `insert into cape_issues (description) values ('x')`)).toBe('42501');
  expect(await rightsOf(db, name, 'reader')).toMatchObject({ lacks: [], beyond: [] });
  await db.close();
});

describe('a role that was granted nothing', () => {
  let db: Database;
  beforeAll(async () => {
    ({ db } = await role());
  });
  afterAll(() => db.close());

  // Whoever may execute a trigger function may hang it on a table of their own, where it runs as the queue's owner.
  test.each([
    ['cape_deleted', 'after delete on mine referencing old table as gone for each statement'],
    ['cape_truncated', 'after truncate on mine for each statement'],
    ['cape_new_issue', 'before insert on mine for each row'],
    ['cape_by_hand', 'before update on mine for each row'],
    ['cape_marked', 'after insert on mine for each row'],
    ['cape_wake_again', 'after update on mine for each row'],
    ['cape_events_told', 'after insert on mine for each statement'],
  ])('may not hang %s on a table of its own', async (name, when) => {
    await db.query('create temp table if not exists mine (id int, status text)');
    expect(await tried(db, `create trigger hung ${when} execute function public.${name}()`)).toBe('42501');
  });

  test('is told everything that it lacks', async () => {
    const { lacks } = await rightsOf(t.db, names.at(-1)!, 'worker');
    expect(lacks).toContain('UPDATE on cape_leases');
    expect(lacks).toHaveLength(4 * 6 + 3 + 3 + 1 + 1);
  });
});

test('rights beyond what a worker needs are named, wherever they come from', async () => {
  const { db, name } = await role('worker');
  await t.sql.unsafe(`grant truncate, delete on cape_workers to ${name}; grant create on schema public to ${name}`);
  expect((await rightsOf(t.db, name, 'worker')).beyond).toEqual([
    'may create in schema public',
    'may DELETE on cape_workers, TRUNCATE on cape_workers',
  ]);
  expect((await asOwner((owner) => rightsOf(owner, null, 'worker'))).beyond).toEqual(['is a superuser']);
  await db.close();
});

test('the SQL that the page on security gives does the same', async () => {
  const page = readFileSync(new URL('../../docs/security.md', import.meta.url), 'utf8');
  const grants = [...page.matchAll(/^```sql\n(GRANT[\s\S]*?)^```$/gm)].map((match) => match[1]).join('');
  const kinds = { cape_worker: 'worker', cape_app: 'producer', cape_viewer: 'reader' } as const;
  for (const [named, kind] of Object.entries(kinds)) {
    const { name, db } = await role();
    const own = grants.split(/;\n/).filter((grant) => grant.trim().endsWith(` TO ${named}`));
    expect(own.length).toBeGreaterThan(1);
    for (const grant of own) await t.sql.unsafe(grant.replace(new RegExp(`${named}$`), name));
    expect(await rightsOf(db, null, kind), kind).toMatchObject({ lacks: [], beyond: [] });
    await db.close();
  }
});

test('inserts, and edits by hand, set off the triggers for whoever may make them', async () => {
  const worker = await actor(t.db);
  const [id] = (await insert(t.sql, 'running')) as [number];
  const [claimed] = await claimAs(t.db, worker);
  expect(claimed?.issue.id).toBe(id);
  await t.db.query(`update cape_issues set status = 'cancelled' where id = $1`, [id]);
  const [lease] = await t.sql`select cancel from cape_leases where issue_id = ${id}`;
  expect(lease?.cancel).toBe('set to cancelled by hand');
  await t.db.query('delete from cape_issues where id = $1', [id]);
  expect(await t.sql`select from cape_leases`).toHaveLength(0);
  expect(inject('workerRole')).toBe(new URL(t.url).username);
});

test('whatever the search path of an inserter finds first, the triggers call what they mean', async () => {
  await actor(t.db);
  await t.sql.unsafe(`
    create schema trap;
    create function trap.caught() returns boolean language plpgsql as 'begin raise exception ''caught''; end';
    create function trap.now() returns timestamptz language sql as 'select trap.caught(); select null::timestamptz';
    create function trap.clock_timestamp() returns timestamptz language sql as 'select trap.caught(); select null::timestamptz';
    create function trap.gen_random_uuid() returns uuid language sql as 'select trap.caught(); select null::uuid';
    create function trap.pg_notify(text, text) returns void language sql as 'select trap.caught()';
    create function trap.current_setting(text) returns text language sql as 'select trap.caught()::text';
    create function trap.same(text, text) returns boolean language sql as 'select trap.caught()';
    create function trap.later(timestamptz, timestamptz) returns boolean language sql as 'select trap.caught()';
    create function trap.more(int, int) returns int language sql as 'select trap.caught()::int';
    create function trap.same(varchar, varchar) returns boolean language sql as 'select trap.caught()';
    create function trap.same(int, int) returns boolean language sql as 'select trap.caught()';
    create operator trap.= (leftarg = text, rightarg = text, function = trap.same);
    create operator trap.<> (leftarg = text, rightarg = text, function = trap.same);
    create operator trap.= (leftarg = varchar, rightarg = varchar, function = trap.same);
    create operator trap.<> (leftarg = varchar, rightarg = varchar, function = trap.same);
    create operator trap.= (leftarg = int, rightarg = int, function = trap.same);
    create function trap.max(int) returns int language sql as 'select trap.caught()::int';
    create function trap.format(text, varchar) returns text language sql as 'select trap.caught()::text';
    create operator trap.> (leftarg = timestamptz, rightarg = timestamptz, function = trap.later);
    create operator trap.+ (leftarg = int, rightarg = int, function = trap.more);
    create function trap.nextval(regclass) returns bigint language sql as 'select trap.caught()::int::bigint';
    create function trap.setval(regclass, bigint) returns bigint language sql as 'select trap.caught()::int::bigint';
    create function trap.pg_sequence_last_value(regclass) returns bigint language sql as 'select trap.caught()::int::bigint';
    create function trap.pg_current_xact_id() returns xid8 language sql as 'select trap.caught(); select null::xid8';
    create function trap.set_config(text, text, boolean) returns text language sql as 'select trap.caught()::text';
    create function trap.current_setting(text, boolean) returns text language sql as 'select trap.caught()::text';
    create function trap.current_database() returns name language sql as 'select trap.caught()::text::name';
    create function trap.same(bigint, bigint) returns boolean language sql as 'select trap.caught()';
    create function trap.same(oid, oid) returns boolean language sql as 'select trap.caught()';
    create function trap.same(name, name) returns boolean language sql as 'select trap.caught()';
    create operator trap.= (leftarg = bigint, rightarg = bigint, function = trap.same);
    create operator trap.= (leftarg = oid, rightarg = oid, function = trap.same);
    create operator trap.= (leftarg = name, rightarg = name, function = trap.same);
    create view trap.pg_locks as select trap.caught();
    create view trap.pg_database as select trap.caught();
    create sequence trap.cape_marks;
    create sequence trap.cape_marks_over;
    create table trap.cape_workers (waiting_until timestamptz);
    create table trap.cape_leases (issue_id int);
    create table trap.cape_events (issue_id int, seq int);
    create table trap.cape_readers (until timestamptz)`);
  await t.sql`update cape_workers set waiting_until = now() + interval '1 minute'`;
  await t.sql`insert into cape_readers values (gen_random_uuid(), now() + interval '1 minute')`;
  await t.sql.begin(async (tx) => {
    await tx.unsafe('set local search_path to trap, pg_catalog, public');
    for (const status of [null, 'pending', 'started'])
      await tx`insert into public.cape_issues (description, status) values ('trapped', ${status}::text)`;
    for (const status of ['completed', 'pending', 'started', 'failed', 'cancelled', 'pending', null, 'started'])
      await tx`update public.cape_issues set status = ${status}::text`;
  });
  await t.sql`update cape_workers set waiting_until = null`;
  await t.sql.begin(async (tx) => {
    await tx.unsafe('set local search_path to trap, pg_catalog, public');
    await tx`insert into public.cape_issues (description, status) values ('nobody waits', 'pending')`;
    await tx`update public.cape_workers set waiting_until = pg_catalog.now()`;
  });
  const [marks] = await t.sql`select last_value::int from trap.cape_marks`;
  expect(marks).toEqual({ last_value: 1 });
  const [row] = await t.sql`select count(*)::int as leased from cape_leases l join cape_issues i on i.id = l.issue_id
    where i.description = 'trapped'`;
  expect(row).toEqual({ leased: 3 });
  const [told] = await t.sql`select count(*)::int as events from cape_events where kind = 'by_hand'`;
  expect(told?.events).toBeGreaterThan(3 * 6);
  expect(await t.sql`select from trap.cape_events`).toHaveLength(0);
});

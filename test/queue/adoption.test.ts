/** Tables of older systems, with rows, become ours without losing or changing any. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { migrate } from '../../src/db/migrate.js';
import { expired, rescue } from '../../src/queue/rescue.js';
import { settle } from '../../src/queue/settle.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { actor, claimAs, done, ids, insert, stored } from './actors.js';

/** An old table with its rows, not yet migrated. */
async function oldTable(name: string, timezone = 'UTC'): Promise<TestDatabase> {
  const t = await createTestDatabase({ empty: true });
  const database = new URL(t.url).pathname.slice(1);
  await t.sql.unsafe(`alter database ${database} set timezone to '${timezone}'`);
  const dump = readFileSync(new URL(`../fixtures/old-tables/${name}.sql`, import.meta.url), 'utf8');
  await t.sql.unsafe(dump);
  return t;
}

const CONTRACT = {
  id: 'integer',
  description: 'text',
  assigned_worker_id: 'character varying(100)',
  created_at: 'timestamp with time zone',
  updated_at: 'timestamp with time zone',
  started_at: 'timestamp with time zone',
  completed_at: 'timestamp with time zone',
};

async function columns(t: TestDatabase, schema = 'public'): Promise<Record<string, string>> {
  const rows = await t.sql`
    select attname, format_type(atttypid, atttypmod) as type from pg_attribute
     where attrelid = ${`${schema}.cape_issues`}::text::regclass and attnum > 0 and not attisdropped`;
  return Object.fromEntries(rows.map(({ attname, type }) => [attname, type]));
}

const iso = (date: Date | null) => date?.toISOString();

/** What every adopted table must be able to do. */
async function works(t: TestDatabase): Promise<void> {
  const worker = await actor(t.db);
  const [id] = (await insert(t.sql, 'a new one')) as [number];
  const claims = await claimAs(t.db, worker, { limit: 100 });
  expect(ids(claims)).toContain(id);
  expect(
    new Set(
      Object.values(
        await settle(
          t.db,
          claims.map((one) => done(one)),
        ),
      ).map(({ status }) => status),
    ),
  ).toEqual(new Set(['completed']));
  await t.sql`update cape_issues set status = 'failed' where id = ${id}`;
  await t.sql`update cape_issues set status = 'cancelled' where id = ${id}`;
}

describe('an old table is adopted', () => {
  test('with its workers in an enum: it directs, and follows where an issue is assigned', async () => {
    const t = await oldTable('assigned-to-enum');
    await migrate({ url: t.url, schema: 'public' });
    expect(await columns(t)).toMatchObject({
      ...CONTRACT,
      status: 'character varying(20)',
      assigned_to: 'cape_worker',
    });
    expect(iso((await stored(t.sql, 1)).completed_at)).toBe('2024-03-01T09:40:00.000Z');
    expect((await stored(t.sql, 3)).assigned_worker_id).toBe('xhundred-1');
    expect((await stored(t.sql, 4)).assigned_worker_id).toBeNull();

    await t.sql`update cape_issues set assigned_to = 'alleycat-2' where id = 4`;
    expect((await stored(t.sql, 4)).assigned_worker_id).toBe('alleycat-2');
    await t.sql`update cape_issues set assigned_worker_id = 'alleycat-1' where id = 4`;
    expect(await stored(t.sql, 4)).toMatchObject({ assigned_to: 'alleycat-1' });
    await t.sql`update cape_issues set assigned_worker_id = 'unknown to the enum' where id = 4`;
    expect(await stored(t.sql, 4)).toMatchObject({ assigned_to: null, assigned_worker_id: 'unknown to the enum' });
    await works(t);
  });

  test('with its workers in free text: trimmed, empty is nobody; odd rows stay as they are and stop nothing', async () => {
    const t = await oldTable('assigned-to-text');
    await migrate({ url: t.url, schema: 'public' });
    expect(await columns(t)).toMatchObject({ ...CONTRACT, status: 'text', assigned_to: 'text' });
    expect((await stored(t.sql, 1)).assigned_worker_id).toBe('alleycat-1');
    expect((await stored(t.sql, 3)).assigned_worker_id).toBe('alleycat-2');
    expect((await stored(t.sql, 4)).assigned_worker_id).toBeNull();
    expect((await stored(t.sql, 5)).status).toBe('archived');
    expect((await stored(t.sql, 6)).status).toBeNull();
    await expect(t.sql`insert into cape_issues (description, status) values ('x', 'archived')`).rejects.toThrow(
      /status_check/,
    );

    await t.sql`update cape_issues set assigned_to = ' w9 ' where id = 4`;
    expect((await stored(t.sql, 4)).assigned_worker_id).toBe('w9');
    await t.sql`update cape_issues set assigned_to = '' where id = 4`;
    expect((await stored(t.sql, 4)).assigned_worker_id).toBeNull();
    await t.sql`insert into cape_issues (id, description, assigned_to) values (50, 'directed', ' w9')`;
    expect((await stored(t.sql, 50)).assigned_worker_id).toBe('w9');

    const worker = await actor(t.db, 'w9');
    await claimAs(t.db, worker, { limit: 1 });
    await t.sql`update cape_issues set assigned_to = 'w10' where id = 50`;
    expect(await stored(t.sql, 50)).toMatchObject({ assigned_worker_id: 'w9', target_worker_id: 'w10' });
    await works(t);
  });

  test("with times that have no zone: read in the server's, to the microsecond; ends are filled in", async () => {
    const t = await oldTable('contract-timestamps', 'Europe/Berlin');
    await migrate({ url: t.url, schema: 'public' });
    expect(await columns(t)).toMatchObject({ ...CONTRACT, status: 'character varying(20)' });
    const [exact] = await t.sql`
      select (completed_at = '2024-07-01 10:40:00.123456+00') as summer, (select created_at = '2024-01-01 11:00+00'
        from cape_issues where id = 5) as winter from cape_issues where id = 1`;
    expect(exact).toEqual({ summer: true, winter: true });
    expect(iso((await stored(t.sql, 2)).completed_at)).toBe('2024-07-01T10:41:00.000Z');
    expect(await stored(t.sql, 4)).toMatchObject({ status: 'pending', assigned_worker_id: 'xhundred-1' });
    await works(t);
  });

  test('with views on it: they come back with their definitions, options, comments, grants and indexes', async () => {
    const t = await oldTable('contract-timestamps');
    await migrate({ url: t.url, schema: 'public' });
    expect(await t.sql`select id from open_issues order by id`).toEqual([{ id: 3 }, { id: 4 }, { id: 5 }]);
    expect(iso((await t.sql`select since from oldest_open`)[0]?.since)).toBe('2024-01-01T12:00:00.000Z');
    expect(await t.sql`select status, n::int from issues_per_status order by n, status`).toEqual([
      { status: 'started', n: 1 },
      { status: 'completed', n: 2 },
      { status: 'pending', n: 2 },
    ]);
    const [kept] = await t.sql`
      select obj_description('open_issues'::regclass) as comment, (select reloptions from pg_class where oid = 'open_issues'::regclass) as options,
             has_table_privilege('pg_monitor', 'open_issues', 'select') as reader, has_table_privilege('pg_monitor', 'issues_per_status', 'select') as also,
             has_table_privilege('pg_monitor', 'oldest_open', 'select') as public,
             to_regclass('issues_per_status_key') is not null as index`;
    expect(kept).toEqual({
      comment: "It's what is to be done",
      options: ['security_barrier=true'],
      reader: true,
      also: true,
      public: true,
      index: true,
    });
    expect(await t.sql`select tgname from pg_trigger where tgname = 'touch_cape_issues'`).toHaveLength(1);
  });

  test('with its status in an enum: index, view and trigger on its values still do their work', async () => {
    const t = await oldTable('status-enum');
    await migrate({ url: t.url, schema: 'public' });
    expect(await columns(t)).toMatchObject({
      ...CONTRACT,
      assigned_worker_id: 'text',
      status: 'character varying(20)',
    });
    expect(await t.sql`select id from waiting_issues`).toEqual([{ id: 3 }]);
    expect(await t.sql`select 1 as one from pg_class where relname = 'idx_open'`).toHaveLength(1);
    await works(t);
    expect((await t.sql`select issue_id from finished order by 1`).map(({ issue_id }) => issue_id)).toContain(3);
  });

  test('with hardly a column: it gets a key, ids that go on, and every default', async () => {
    const t = await oldTable('few-columns');
    await migrate({ url: t.url, schema: 'public' });
    expect(await columns(t)).toMatchObject({
      ...CONTRACT,
      description: 'character varying',
      status: 'character varying(20)',
    });
    expect(await stored(t.sql, 3)).toMatchObject({
      status: 'pending',
      description: 'Three',
      created_at: expect.any(Date),
    });
    expect(await insert(t.sql, 'the next')).toEqual([9]);
    await works(t);
  });

  test('with rows left started: each has a lease of an hour from its start, and is then rescued', async () => {
    for (const [name, id] of [
      ['assigned-to-enum', 2],
      ['contract-timestamps', 3],
      ['status-enum', 2],
    ] as const) {
      const t = await oldTable(name);
      await t.sql`update cape_issues set updated_at = now() - interval '30 minutes' where id = ${id}`;
      await t.sql.unsafe(
        name === 'contract-timestamps' ? `update cape_issues set started_at = updated_at` : 'select 1',
      );
      await migrate({ url: t.url, schema: 'public' });
      const [lease] = await t.sql`
        select issue_id, attempt, worker_id, lease_until - now() between '25 minutes' and '30 minutes' as half_an_hour from cape_leases`;
      expect(lease).toEqual({
        issue_id: id,
        attempt: 1,
        worker_id: expect.stringMatching(/^alleycat-\d$/),
        half_an_hour: true,
      });
      expect(await rescue(t.db, await expired(t.db))).toEqual([]);
      await t.sql`update cape_leases set lease_until = now() - interval '1 second'`;
      expect(await rescue(t.db, await expired(t.db))).toMatchObject([{ id, status: 'pending' }]);
    }
  });

  test('into a schema of its own, whatever its name, beside another in the same database', async () => {
    const t = await createTestDatabase({ empty: true });
    for (const schema of ['public', 'Team "A"']) await migrate({ url: t.url, schema });
    await t.sql`insert into "Team ""A""".cape_issues (description, status) values ('started by hand', 'started')`;
    expect(await t.sql`select * from "Team ""A""".cape_leases`).toHaveLength(1);
    expect(await t.sql`select * from public.cape_leases`).toHaveLength(0);
  });
});

describe('an old table that cannot be adopted', () => {
  let shared: TestDatabase | undefined;

  test.each([
    ['a missing status', 'create table cape_issues (id serial primary key, description text)', /has no column status/],
    [
      'an id that is no integer',
      'create table cape_issues (id uuid primary key, description text, status text)',
      /column id must be an integer/,
    ],
    [
      'a time kept as text',
      'create table cape_issues (id serial primary key, description text, status text, created_at text)',
      /created_at is text/,
    ],
    [
      'a view with triggers of its own on a column to be changed',
      `create table cape_issues (id serial primary key, description text, status text, created_at timestamp);
       create view v as select created_at from cape_issues;
       create function nothing() returns trigger language plpgsql as 'begin return null; end';
       create trigger t instead of insert on v for each row execute function nothing()`,
      /the view v,.*drop the view/,
    ],
    [
      'a policy on a column to be changed',
      `create table cape_issues (id serial primary key, description text, status varchar(9));
       create policy p on cape_issues using (status <> 'started')`,
      /used in a policy/,
    ],
  ])('because of %s says why and stays as it was', async (_, dump, message) => {
    shared ??= await createTestDatabase({ empty: true });
    const { url, sql } = shared;
    const schema = `odd_${Math.random().toString(36).slice(2)}`;
    await sql.begin((tx) => tx.unsafe(`create schema ${schema}; set local search_path to ${schema}; ${dump}`));
    const before = await columns(shared, schema);
    await expect(migrate({ url, schema })).rejects.toThrow(message);
    expect(await columns(shared, schema)).toEqual(before);
  });

  test('because somebody holds a lock on it fails after a while instead of queueing all others behind it', {
    timeout: 30_000,
  }, async () => {
    const t = await oldTable('few-columns');
    await t.sql.begin(async (tx) => {
      await tx`select * from cape_issues`;
      await expect(migrate({ url: t.url, schema: 'public' })).rejects.toThrow(/lock/);
    });
    await migrate({ url: t.url, schema: 'public' });
  });
});

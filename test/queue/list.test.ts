/** Pages of issues give what a plain query would, whatever place of the table the rows are in. */
import { beforeAll, describe, expect, test } from 'vitest';
import { STATUSES, type Status } from '../../src/core/issue.js';
import { connect } from '../../src/db/connect.js';
import { LOOK, list, type PageFilter, page } from '../../src/queue/list.js';
import { FEW } from '../../src/queue/list-sources.js';
import { grantRights } from '../../src/queue/rights.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { everyPlan } from './explained.js';

let t: TestDatabase;

beforeAll(async () => {
  t = await createTestDatabase();
  await fill(4000);
});

/** Rows in every place and state, in no order: claimable, directed, parked, in hand, set by hand while in hand, ended, odd. */
async function fill(rows: number): Promise<void> {
  await t.sql.begin(async (tx) => {
    await tx`set local session_replication_role = replica`;
    await tx`alter table cape_issues drop constraint cape_issues_status_check`;
    await tx`
      insert into cape_issues (description, priority, status, run_at, leased, assigned_worker_id, target_worker_id, completed_at, created_at)
      select 'Issue ' || n || case n % 7 when 0 then ' LOGIN' when 1 then ' ÄRGER' else '' end, n % 5,
             case when kind < 12 then 'pending' when kind < 14 then 'started' when kind < 18 then 'completed'
                  when kind = 18 then 'failed' when kind = 19 then 'cancelled' when kind = 20 then 'odd'
                  else (array['pending', 'completed', 'cancelled'])[1 + n % 3] end,
             case when kind in (9, 10) then now() + n * interval '1 s' end,
             kind in (12, 21), case when kind in (8, 9, 11) or kind > 11 then 'w-' || n % 3 end,
             case when n % 11 = 0 then 'w-4' end, case when kind > 13 then now() end, now() - (n % 100) * interval '1 s'
        from (select n, (n * 7919) % 22 as kind from generate_series(1, ${rows}) n) as numbers`;
    await tx`
      insert into cape_leases (issue_id, attempt, token, worker_id, lease_until)
      select id, 1, gen_random_uuid(), 'w', now() from cape_issues where leased`;
  });
}

/** Every page, from the first to the last. */
async function pages(filter: PageFilter): Promise<{ ids: number[]; asked: number }> {
  const ids: number[] = [];
  let cursor: string | null = null;
  let asked = 0;
  do {
    const { items, next, complete } = await page(t.db, { ...filter, cursor });
    if (complete && next !== null) expect(items).toHaveLength(filter.limit ?? 50);
    if (next === null) expect(complete).toBe(true);
    ids.push(...items.map(({ id }) => id));
    cursor = next;
    asked++;
  } while (cursor !== null);
  return { ids, asked };
}

async function plainly(filter: PageFilter): Promise<number[]> {
  const statuses = filter.status === undefined ? null : [filter.status].flat();
  const { worker, search } = { worker: null, search: null, ...filter };
  const rows = await t.sql<{ id: number }[]>`
    select id from cape_issues
     where (${statuses}::text[] is null or status = any(${statuses}))
       and (${worker}::text is null or assigned_worker_id = ${worker} or target_worker_id = ${worker})
       and (${search}::text is null or strpos(lower(description), lower(${search})) > 0)
     order by id desc`;
  return rows.map(({ id }) => id);
}

const SETS: (Status | Status[] | undefined)[] = [
  undefined,
  ...STATUSES,
  ['failed', 'cancelled'],
  ['pending', 'completed'],
  ['started', 'failed', 'started'],
  [...STATUSES],
];
const FILTERS: PageFilter[] = SETS.flatMap((status) => [
  { status, limit: 70 },
  { status, limit: 1000 },
  { status, search: 'login', limit: 70 },
  { status, search: 'ärger', limit: 70 },
  { status, search: 'nowhere' },
  ...(status === undefined ? [] : [{ status, worker: 'w-1', limit: 70 }]),
]);

describe('with rows in every place', () => {
  test.each(FILTERS)('pages give what a plain query gives: $status $worker $search by $limit', async (filter) => {
    const expected = await plainly(filter);
    expect((await pages(filter)).ids).toEqual(expected);
    expect((await list(t.db, { ...filter, limit: 10_000 })).map(({ id }) => id)).toEqual(expected);
  });

  test('a worker without a status has those of all five', async () => {
    expect((await pages({ worker: 'w-1' })).ids).toEqual(await plainly({ worker: 'w-1', status: STATUSES }));
  });

  test('a few that wait below many that have ended are found at once', async () => {
    await t.sql`update cape_issues set status = 'completed', completed_at = now() where status = 'pending' and not leased and id > 300`;
    const left = await plainly({ status: 'pending' });
    expect(left.length).toBeLessThan(FEW);
    expect(await pages({ status: 'pending', limit: 1000 })).toEqual({ ids: left, asked: 1 });
  });
});

test('a status that is none is refused, whatever it holds', async () => {
  await expect(list(t.db, { status: "x' or true --" as never })).rejects.toThrow(
    /^status: got "x' or true --"; must be one of/,
  );
});

test('where no index serves the filter, a page ends after some rows, says so, and its cursor goes on', async () => {
  await t.sql`alter sequence cape_issues_id_seq restart with 100000`;
  await t.sql.begin(async (tx) => {
    await tx`set local session_replication_role = replica`;
    await tx`insert into cape_issues (description) select 'many' from generate_series(1, ${3 * LOOK}) n`;
  });
  const { items, next, complete } = await page(t.db, { search: 'LOGIN' });
  expect({ items, complete }).toEqual({ items: [], complete: false });
  expect(next).toEqual(expect.any(String));
  const { ids, asked } = await pages({ search: 'LOGIN' });
  expect(ids).toEqual(await plainly({ search: 'LOGIN' }));
  expect(asked).toBeGreaterThan(3);
});

test('what a worker did is found at once below many that wait for others, and many that wait for a time', async () => {
  await t.sql.begin(async (tx) => {
    await tx`set local session_replication_role = replica`;
    await tx`insert into cape_issues (description, run_at) select 'later', now() + interval '1 h' from generate_series(1, ${2 * FEW}) n`;
  });
  const { items, complete } = await page(t.db, { worker: 'w-1' });
  expect(items.map(({ id }) => id)).toEqual((await plainly({ worker: 'w-1', status: STATUSES })).slice(0, 50));
  expect(complete).toBe(true);
});

test('a summary has the beginning of the description and says that it is cut', async () => {
  const long = 'ä'.repeat(301);
  await t.sql`insert into cape_issues (description, params) values (${long}, '{"a":1}'), (${long.slice(1)}, null)`;
  const { items } = await page(t.db, { summary: true, limit: 2 });
  expect(items).toMatchObject([
    { description: long.slice(1), description_cut: false, result: null, params: null },
    { description: long.slice(1), description_cut: true, result: null, params: null },
  ]);
  const [, whole] = (await page(t.db, { limit: 2 })).items;
  expect(whole).toMatchObject({ description: long, params: { a: 1 } });
  expect(whole).not.toHaveProperty('description_cut');
});

test.each(['', 'x', '-1', '99999999999', "1' or true"])('%j is no cursor', async (text) => {
  const cursor = Buffer.from(text).toString('base64url');
  await expect(page(t.db, { cursor })).rejects.toMatchObject({ kind: 'usage', message: /^cursor: / });
});

test('a list of none is empty', async () => {
  expect(await list(t.db, { limit: 0 })).toEqual([]);
});

test.each([0, 1001, 1.5])('%d is no length of a page', async (limit) => {
  await expect(page(t.db, { limit })).rejects.toThrow(`limit: got "${limit}"; must be a whole number from 1 to 1000`);
});

test('a producer, who may not read the leases, has its lists all the same', async () => {
  const name = `cape_list_${process.pid}`;
  await t.sql.unsafe(`create role ${name} login password 'secret'`);
  const owner = connect({ url: t.ownerUrl, schema: 'public', applicationName: 'cape-test-owner' });
  await grantRights(owner, name, 'producer');
  const url = Object.assign(new URL(t.url), { username: name, password: 'secret' });
  const db = connect({ url: url.href, schema: 'public', applicationName: 'cape-test-role' });
  expect((await list(db, { status: 'started', limit: 10_000 })).map(({ id }) => id)).toEqual(
    await plainly({ status: 'started' }),
  );
  await Promise.all([db.close(), owner.close()]);
  await t.sql.unsafe(`drop owned by ${name}; drop role ${name}`);
});

test('no page reads more than its windows, with the statistics of an empty table and a plain client', async () => {
  const filters: PageFilter[] = [
    {},
    ...STATUSES.map((status) => ({ status })),
    { status: ['completed', 'failed'], search: 'nowhere' },
    { status: 'pending', worker: 'w-1' },
    { search: 'nowhere' },
  ];
  for (const filter of filters)
    for (const nodes of await everyPlan(t.db, (db) => page(db, filter)))
      for (const node of nodes) {
        const met = node['Actual Rows'] * node['Actual Loops'] + (node['Rows Removed by Filter'] ?? 0);
        expect(met, JSON.stringify(node)).toBeLessThanOrEqual(6 * FEW + 200);
        if (node['Relation Name'] === 'cape_issues') expect(node['Node Type']).not.toBe('Seq Scan');
      }
});

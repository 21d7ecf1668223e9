/** The plans of every statement that a worker sends while it works, with a million issues pending and five that have ended. */
import { beforeAll, expect, test } from 'vitest';
import { STATUSES } from '../../src/core/issue.js';
import { connect, type Database, type Queryable } from '../../src/db/connect.js';
import { claim, nextToClaim } from '../../src/queue/claim.js';
import { anythingPendingFor, unfinishedAmong } from '../../src/queue/drain.js';
import { beat } from '../../src/queue/lease.js';
import { type PageFilter, page } from '../../src/queue/list.js';
import { FEW } from '../../src/queue/list-sources.js';
import { promote } from '../../src/queue/promote.js';
import { attempts, get } from '../../src/queue/read.js';
import { expired, reclassify, rescue } from '../../src/queue/rescue.js';
import { settle, settledOrHeld } from '../../src/queue/settle.js';
import { settleAndClaim } from '../../src/queue/settle-claim.js';
import { stats } from '../../src/queue/stats.js';
import { history } from '../../src/queue/throughput.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { type Actor, actor, claimAs, done, request } from './actors.js';
import { everyPlan, expectNarrow, indexes, nodesOf } from './explained.js';

const ISSUES = { pending: 1_000_000, finished: 5_000_000 };

let t: TestDatabase;
let db: Database;
let worker: Actor;

// Without triggers, without a log of it, indexes made at the end: a third of the time.
beforeAll(async () => {
  t = await createTestDatabase();
  await t.sql.unsafe('alter table cape_issues set unlogged; alter table cape_attempts set unlogged');
  const again = await withoutIndexes();
  const { pending, finished } = ISSUES;
  await Promise.all([
    bulk(`insert into cape_attempts (issue_id, attempt, token, worker_id, started_at, outcome)
            select n, 1, '00000000-0000-4000-8000-000000000000', 'w', now(), 'succeeded' from generate_series(1, ${finished}) n`),
    bulk(`insert into cape_issues (id, description, status, attempt, completed_at)
            select n, '', 'completed', 1, now() from generate_series(1, ${finished}) n;
          insert into cape_issues (id, description, priority)
            select n, '', n % 5 from generate_series(${finished} + 1, ${finished + pending}) n;
          insert into cape_issues (id, description, run_at)
            select n, '', now() + interval '1 day' from generate_series(8000001, 8050000) n;
          insert into cape_issues (id, description, priority, assigned_worker_id)
            select n, '', 99, 'down-1' from generate_series(9000001, 9050000) n`),
  ]);
  await Promise.all(again.map((statement) => bulk(statement)));
  await t.sql.unsafe(`select setval('cape_issues_id_seq', 10000000)`);
  // The sizes of the tables, which autovacuum would learn sooner or later.
  await t.sql.unsafe('analyze cape_issues; analyze cape_attempts');
  db = connect({ url: t.url, schema: t.schema, applicationName: 'cape-test-plans', planner: true, deadlineMs: 60_000 });
  worker = await actor(db, 'alleycat-1');
}, 180_000);

/** Takes the larger tables' indexes away. @returns what makes them again */
async function withoutIndexes(): Promise<string[]> {
  const rows = await t.sql<{ name: string; again: string; constraint: string | null; table: string }[]>`
    select i.indexrelid::regclass::text as name, i.indrelid::regclass::text as table, c.conname as constraint,
           coalesce('alter table ' || i.indrelid::regclass || ' add constraint ' || quote_ident(c.conname) || ' ' ||
                    pg_get_constraintdef(c.oid), pg_get_indexdef(i.indexrelid)) as again
      from pg_index i left join pg_constraint c on c.conindid = i.indexrelid
     where i.indrelid in ('cape_issues'::regclass, 'cape_attempts'::regclass)`;
  for (const { name, table, constraint } of rows)
    await t.sql.unsafe(constraint ? `alter table ${table} drop constraint ${constraint}` : `drop index ${name}`);
  return rows.map(({ again }) => again);
}

async function bulk(statements: string): Promise<void> {
  await t.sql.begin((tx) =>
    tx.unsafe(`set local session_replication_role = replica; set local maintenance_work_mem = '256MB'; ${statements}`),
  );
}

const plan = (verb: (db: Queryable) => Promise<unknown>) => nodesOf(db, verb);

test('claiming reads the rows it takes, in the order of its indexes, from the head and behind a hint', async () => {
  const hint = { priority: 2, created_at: '2000-01-01 00:00:00+00', id: 1 };
  for (const more of [{}, { hint }, { except: [5_000_001, 5_000_002] }]) {
    const nodes = await plan((queryable) => claim(queryable, request(worker, { limit: 50, ...more })));
    expectNarrow(nodes);
    expect(indexes(nodes)).toContain('cape_issues_claim');
    expect(indexes(nodes)).toContain('cape_issues_directed');
    expect(indexes(nodes)).toContain('cape_issues_pkey');
  }
  const nodes = await plan((queryable) => nextToClaim(queryable, worker.id, []));
  expectNarrow(nodes);
  expect(indexes(nodes)).toContain('cape_issues_claim');
});

test('settling, with and without the next claim, and asking what became of it, goes by keys', async () => {
  const claims = await claimAs(db, worker, { limit: 50 });
  expect(claims).toHaveLength(50);
  const [first, rest] = [claims.slice(0, 25).map((one) => done(one)), claims.slice(25).map((one) => done(one))];
  for (const verb of [
    (queryable: Queryable) => settle(queryable, first),
    (queryable: Queryable) => settleAndClaim(queryable, rest, request(worker, { limit: 50 })),
  ]) {
    const nodes = await plan(verb);
    expectNarrow(nodes);
    expect(indexes(nodes)).toContain('cape_issues_pkey');
    expect(indexes(nodes)).toContain('cape_leases_pkey');
  }
  const asked = await plan((queryable) => settledOrHeld(queryable, rest));
  expectNarrow(asked);
  expect(indexes(asked)).toContain('cape_attempts_pkey');
});

test('renewing, rescuing and reclassifying go by the leases and the keys of their issues', async () => {
  await t.sql`delete from cape_leases`;
  const claims = await claimAs(db, worker, { limit: 50 });
  const leases = claims.map(({ issue, token }) => ({ id: issue.id, token }));
  const tick = { instance: worker.instance, waiting: true, leases, leaseSeconds: 300 };
  const renewed = await plan((queryable) => beat(queryable, tick));
  expectNarrow(renewed);
  expect(indexes(renewed)).toContain('cape_leases_pkey');
  await t.sql`update cape_leases set lease_until = now() - interval '1 second'`;
  expectNarrow(await plan((queryable) => expired(queryable)));
  const seen = await expired(db);
  expect(seen).toHaveLength(50);
  const rescued = await plan((queryable) => rescue(queryable, seen));
  expectNarrow(rescued);
  expect(indexes(rescued)).toContain('cape_issues_pkey');
  expect(indexes(rescued)).toContain('cape_leases_pkey');
  const corrected = await plan((queryable) => reclassify(queryable, leases));
  expectNarrow(corrected);
  expect(indexes(corrected)).toContain('cape_issues_pkey');
  expect(indexes(corrected)).toContain('cape_attempts_pkey');
});

test('promoting reads the due ones, and the next one after them', async () => {
  await t.sql`update cape_issues set run_at = now() where id between 8000001 and 8000030`;
  const nodes = await plan((queryable) => promote(queryable, 100));
  expectNarrow(nodes);
  expect(indexes(nodes)).toEqual(new Set([undefined, 'cape_issues_parked', 'cape_issues_pkey']));
});

test('what is asked beside the work reads as little', async () => {
  const some = Array.from({ length: 50 }, (_, n) => n * 100_000 + 1);
  const asked: [(queryable: Queryable) => Promise<unknown>, string][] = [
    [(queryable) => anythingPendingFor(queryable, worker.id), 'cape_issues_claim'],
    [(queryable) => unfinishedAmong(queryable, some), 'cape_issues_pkey'],
    [(queryable) => get(queryable, 5_500_000), 'cape_issues_pkey'],
    [(queryable) => attempts(queryable, 100), 'cape_attempts_pkey'],
  ];
  for (const [verb, index] of asked) {
    const nodes = await plan(verb);
    expectNarrow(nodes);
    expect(indexes(nodes)).toContain(index);
  }
  await db.close();
});

// A client has no planner settings of its own, and the statistics know nothing of these 100,000 failed ones.
test('a page in any filter, and the numbers of the queue, read some thousand rows', async () => {
  await bulk(`update cape_issues set status = 'failed' where id % 50 = 0 and id < 5000000`);
  const client = connect({ url: t.url, schema: t.schema, applicationName: 'cape-test-plans', deadlineMs: 60_000 });
  const nowhere = { search: 'nowhere' };
  const filters: PageFilter[] = [
    ...[{}, nowhere, { worker: 'down-1' }, { worker: 'nobody' }],
    ...STATUSES.flatMap((status) => [{ status }, { status, ...nowhere }, { status, worker: 'nobody' }]),
    { status: ['failed', 'cancelled'] },
    { status: STATUSES },
  ];
  const verbs: [string, (db: Database) => Promise<unknown>][] = [
    ...filters.map((filter): [string, (db: Database) => Promise<unknown>] => [
      JSON.stringify(filter),
      (db) => page(db, filter),
    ]),
    ['stats', (db) => stats(db)],
  ];
  for (const [name, verb] of verbs)
    for (const nodes of await everyPlan(client, verb))
      for (const node of nodes) {
        const met = node['Actual Rows'] * node['Actual Loops'] + (node['Rows Removed by Filter'] ?? 0);
        if (node['Relation Name'] === 'cape_issues') {
          expect(met, `${name}: ${JSON.stringify(node)}`).toBeLessThanOrEqual(10 * FEW);
          expect(node['Node Type'], name).not.toBe('Seq Scan');
        }
      }
  expect((await page(client, { status: 'failed' })).items).toHaveLength(50);
  expect((await stats(client)).estimated).toContain('completed');
  // All that ended did so in one minute.
  expect((await history(client)).estimated).toBe(true);
  await client.close();
});

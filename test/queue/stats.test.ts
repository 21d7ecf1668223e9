/** The numbers of a large table come from other statements than those of a small one, and are the same. */
import { beforeEach, expect, test } from 'vitest';
import { enqueue } from '../../src/queue/enqueue.js';
import { settle } from '../../src/queue/settle.js';
import { stats } from '../../src/queue/stats.js';
import { history, lastHour } from '../../src/queue/throughput.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { type Actor, actor, claimAs, done, ended, requeued } from './actors.js';
import { everyPlan } from './explained.js';

let t: TestDatabase;
let worker: Actor;

/** As if every table were a large one. */
const large = () => stats(t.db, -1);

beforeEach(async () => {
  t = await createTestDatabase();
  worker = await actor(t.db, 'alleycat-1');
});

async function aBitOfEverything(): Promise<void> {
  await enqueue(t.db, [
    { description: 'Succeeds' },
    { description: 'Fails for good' },
    { description: 'Fails and waits' },
    { description: 'Runs now' },
    { description: 'Set back by hand while it runs' },
    { description: 'Of another priority', priority: -3 },
    { description: 'Waits', priority: 2 },
    { description: 'Directed', worker: 'nobody-1' },
    { description: 'Directed later', worker: 'alleycat-1', delayMs: 3_600_000 },
  ]);
  await t.sql`update cape_issues set priority = 9 where id <= 5`;
  const claims = await claimAs(t.db, worker, { limit: 5 });
  expect(claims.map(({ issue }) => issue.id)).toEqual([1, 2, 3, 4, 5]);
  await settle(t.db, [
    done(claims[0]!),
    ended(claims[1]!, { action: 'finish', status: 'failed', charge: 'failure' }, 'failed'),
    requeued(claims[2]!, 60_000, 'failure'),
  ]);
  await t.sql`update cape_issues set status = 'pending' where id = 5`;
  await t.sql`update cape_issues set created_at = now() - interval '1 day' where id = 6`;
  await t.sql`update cape_issues set created_at = now() - interval '2 days' where id = 8`;
}

test('a large table is counted as a small one is, while there is little of each', async () => {
  await aBitOfEverything();
  await t.sql`alter table cape_issues drop constraint cape_issues_status_check`;
  await t.sql`insert into cape_issues (description, status) values ('', 'zebra'), ('', 'ant'), ('', 'odd'), ('', 'odd')`;
  const [exact, read] = [await stats(t.db), await large()];
  expect(exact).toMatchObject({ pending: 6, parked: 2, started: 1, completed: 1, failed: 1, other: 4, estimated: [] });
  const { oldest_pending_seconds: oldest, ...rest } = read;
  expect(oldest).toBeCloseTo(exact.oldest_pending_seconds!, 0);
  expect({ ...rest, oldest_pending_seconds: exact.oldest_pending_seconds }).toEqual(exact);
  expect(oldest).toBeGreaterThan(2 * 86_400 - 1);
});

test('of what is many the number is told from statistics, and named', async () => {
  await t.sql.begin(async (tx) => {
    await tx`set local session_replication_role = replica`;
    await tx`insert into cape_issues (description) select '' from generate_series(1, 8000)`;
    await tx`insert into cape_issues (description, run_at) select '', now() + interval '1 h' from generate_series(1, 6000)`;
    await tx`insert into cape_issues (description, status, completed_at) select '', 'completed', now() from generate_series(1, 20000)`;
    await tx`insert into cape_issues (description, status, completed_at) select '', 'failed', now() from generate_series(1, 40)`;
  });
  await t.sql`analyze cape_issues`;
  const { pending, parked, completed, failed, estimated } = await large();
  expect(estimated).toEqual(['pending', 'parked', 'completed']);
  expect(failed).toBe(40);
  for (const [number, about] of [
    [pending, 14_000],
    [parked, 6000],
    [completed, 20_000],
  ] as const)
    expect(Math.abs(number / about - 1), `${number} for ${about}`).toBeLessThan(0.1);
});

test('history tells of each minute what ended in it, how long it waited and ran', async () => {
  await aBitOfEverything();
  await t.sql`update cape_attempts set ended_at = now() - interval '90 seconds', started_at = now() - interval '100 seconds'`;
  await t.sql`update cape_issues set created_at = now() - interval '103 seconds' where id < 4`;
  const { bucket_seconds, buckets, estimated } = await history(t.db);
  expect({ bucket_seconds, estimated, length: buckets.length }).toEqual({
    bucket_seconds: 60,
    estimated: false,
    length: 60,
  });
  const busy = buckets.filter(({ run_ms }) => run_ms !== null);
  expect(busy).toMatchObject([{ completed: 1, failed: 1, retried: 1, run_ms: expect.closeTo(10_000, -2) }]);
  expect(busy[0]!.wait_ms).toBeCloseTo(3000, -2);
  expect(busy[0]!.at.getTime() % 60_000).toBe(0);
  expect(buckets.map(({ at }) => at.getTime()).sort()).toEqual(buckets.map(({ at }) => at.getTime()));
  expect((await history(t.db, 1440)).bucket_seconds).toBe(24 * 60);
  await expect(history(t.db, 0)).rejects.toThrow('minutes: got "0"; must be a whole number from 1 to 10080');
});

test('where more ended than can be counted, it is told from a part of each slice', async () => {
  await t.sql`
    insert into cape_attempts (issue_id, attempt, token, worker_id, started_at, ended_at, outcome)
    select n, 1, gen_random_uuid(), 'w', at - interval '2 s', at, 'succeeded'
      from (select n, now() - interval '58 minutes' + n * interval '0.1 s' as at from generate_series(1, 34000) n) as ends`;
  const { completed, estimated } = await lastHour(t.db);
  expect(estimated).toBe(true);
  expect(Math.abs(completed / 34_000 - 1), `${completed}`).toBeLessThan(0.1);
  const { buckets } = await history(t.db);
  expect(Math.abs(buckets[20]!.completed / 600 - 1)).toBeLessThan(0.1);
  expect(buckets[20]!.run_ms).toBe(2000);
});

test('no number of a large table takes a look at many of its rows', async () => {
  await t.sql.begin(async (tx) => {
    await tx`set local session_replication_role = replica`;
    await tx`insert into cape_issues (description) select '' from generate_series(1, 20000)`;
    await tx`insert into cape_issues (description, status, completed_at) select '', 'completed', now() from generate_series(1, 50000)`;
    await tx`insert into cape_issues (description, assigned_worker_id) select '', 'down-1' from generate_series(1, 20000)`;
    await tx`insert into cape_attempts (issue_id, attempt, token, worker_id, started_at, ended_at, outcome)
      select n, 1, gen_random_uuid(), 'w', now(), now() - (50000 - n) * interval '1 s', 'succeeded' from generate_series(1, 50000) n`;
  });
  for (const nodes of await everyPlan(t.db, (db) => stats(db, -1)))
    for (const node of nodes) {
      expect(node['Actual Rows'] * node['Actual Loops'], JSON.stringify(node)).toBeLessThan(12_000);
      if (/cape_(issues|attempts)/.test(node['Relation Name'] ?? ''))
        expect(node['Node Type'], JSON.stringify(node)).not.toBe('Seq Scan');
      if (node['Relation Name'] === 'cape_issues')
        expect(node['Actual Rows'] * node['Actual Loops'] + (node['Rows Removed by Filter'] ?? 0)).toBeLessThan(2100);
    }
});

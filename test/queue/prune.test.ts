/** Old events and attempts go in small batches, found by indexes; issues and what is young stay. */
import { beforeAll, expect, test } from 'vitest';
import { createClient } from '../../src/client.js';
import { connect, type Database } from '../../src/db/connect.js';
import { pruneEvents } from '../../src/events/prune.js';
import { pruneHistory } from '../../src/queue/prune.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { expectNarrow, indexes, nodesOf } from './explained.js';

let t: TestDatabase;
let db: Database;

beforeAll(async () => {
  t = await createTestDatabase();
  db = connect({ url: t.url, schema: t.schema, applicationName: 'cape-test-prune', planner: true });
  await t.sql`insert into cape_issues (description) select 'x' from generate_series(1, 20000) g`;
  // Issue by issue, two days each thousand; the last 2,499 are of the last five days.
  await t.sql`insert into cape_events (xid, at, issue_id, seq, kind)
              select (id / 50)::text::xid8, now() - (20001 - id) * interval '1 day' / 500, id, 1, 'started' from cape_issues`;
  await t.sql`insert into cape_attempts (issue_id, attempt, token, worker_id, started_at, ended_at, outcome)
              select id, 1, gen_random_uuid(), 'w-1', now() - (20001 - id) * interval '1 day' / 500,
                     now() - (20001 - id) * interval '1 day' / 500, 'succeeded' from cape_issues order by id`;
  await t.sql`analyze`;
});

test('a batch reads what it deletes, from the end of the index that has the oldest', async () => {
  const nodes = await nodesOf(db, (queryable) => pruneEvents(queryable, 5, '0.0.0', 100));
  expectNarrow(nodes);
  expect(indexes(nodes)).toContain('cape_events_order');
});

test('all that is older goes, and nothing else, whatever lies in between', async () => {
  // A dump brought it back: young, and in the order among the old.
  await t.sql`update cape_events set at = now() where issue_id = 777`;
  let [steps, events, attempts] = [0, 0, 0];
  for (let next: string | null = null; ; steps++) {
    const step = await pruneHistory(db, 5, next);
    expect(step.events).toBeLessThanOrEqual(1000);
    events += step.events;
    attempts += step.attempts;
    next = step.next;
    if (next === null) break;
  }
  // The test before has deleted 100.
  expect([events, attempts, steps > 15]).toEqual([17_400, 17_501, true]);
  const [left] = await t.sql`
    select (select count(*)::int from cape_events) as events, (select count(*)::int from cape_attempts) as attempts,
           (select count(*)::int from cape_issues) as issues`;
  expect(left).toEqual({ events: 2500, attempts: 2499, issues: 20_000 });
  expect(await pruneHistory(db, 5, null)).toMatchObject({ events: 0, attempts: 0, next: null });
});

test('a client does it to the end', async () => {
  const client = createClient({ databaseUrl: t.url });
  expect(await client.prune(1)).toEqual({ events: 2000, attempts: 2000 });
  await client.close();
  await db.close();
});

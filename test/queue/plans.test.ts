/** Every statement of the hot path touches the rows it is about and no others, however full the tables are. */
import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import { connect, type Database } from '../../src/db/connect.js';
import { claim } from '../../src/queue/claim.js';
import { beat } from '../../src/queue/lease.js';
import { promote } from '../../src/queue/promote.js';
import { expired, reclassify, rescue } from '../../src/queue/rescue.js';
import { settle, settledOrHeld } from '../../src/queue/settle.js';
import { settleAndClaim } from '../../src/queue/settle-claim.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { type Actor, actor, claimAs, done, request } from './actors.js';
import { expectNarrow, indexes, nodesOf } from './explained.js';

let t: TestDatabase;
let db: Database;
let worker: Actor;

beforeAll(async () => {
  t = await createTestDatabase();
  db = connect({ url: t.url, schema: t.schema, applicationName: 'cape-test-plans', planner: true });
  worker = await actor(db, 'alleycat-1');
  // Triggers off: 320,000 rows in 2 s.
  await t.sql.begin(async (tx) => {
    await tx`set local session_replication_role = replica`;
    await tx`insert into cape_issues (description, priority) select 'pending', g % 5 from generate_series(1, 150000) g`;
    await tx`
      insert into cape_issues (description, status, attempt, completed_at)
      select 'finished', 'completed', 1, now() from generate_series(1, 100000) g`;
    await tx`
      insert into cape_attempts (issue_id, attempt, token, worker_id, started_at, outcome)
      select id, 1, gen_random_uuid(), 'alleycat-1', now(), 'succeeded' from cape_issues where status = 'completed'`;
    await tx`insert into cape_issues (description, run_at) select 'parked', now() + interval '1 day' from generate_series(1, 50000) g`;
    await tx`
      insert into cape_issues (description, priority, assigned_worker_id)
      select 'for a worker that is down', 99, 'down-1' from generate_series(1, 20000) g`;
  });
});

describe('with 320,000 rows', () => {
  test('a claim reads the rows it takes, from the head and behind a hint, in the order of its indexes', async () => {
    const hint = { priority: 2, created_at: '2000-01-01 00:00:00+00', id: 1 };
    for (const more of [{}, { hint }]) {
      const nodes = await nodesOf(db, (queryable) => claim(queryable, request(worker, more)));
      expectNarrow(nodes);
      expect(indexes(nodes)).toContain('cape_issues_claim');
      expect(indexes(nodes)).toContain('cape_issues_directed');
    }
  });

  test('settling, alone and with the next claim, reads its rows by their keys', async () => {
    const claims = await claimAs(db, worker, { limit: 50 });
    expect(claims).toHaveLength(50);
    expectNarrow(
      await nodesOf(db, (queryable) =>
        settle(
          queryable,
          claims.slice(0, 25).map((one) => done(one)),
        ),
      ),
    );
    const rest = claims.slice(25).map((one) => done(one));
    expectNarrow(await nodesOf(db, (queryable) => settleAndClaim(queryable, rest, request(worker))));
    expectNarrow(await nodesOf(db, (queryable) => settledOrHeld(queryable, rest)));
  });

  test('renewing, rescuing and reclassifying read the leases and their issues', async () => {
    await t.sql`delete from cape_leases`;
    const claims = await claimAs(db, worker, { limit: 50 });
    const leases = claims.map(({ issue, token }) => ({ id: issue.id, token }));
    const tick = { instance: worker.instance, waiting: true, leases, leaseSeconds: 300 };
    expectNarrow(await nodesOf(db, (queryable) => beat(queryable, tick)));
    await t.sql`update cape_leases set lease_until = now() - interval '1 second'`;
    const seen = await expired(db);
    expect(seen).toHaveLength(50);
    expectNarrow(await nodesOf(db, (queryable) => rescue(queryable, seen)));
    await t.sql`update cape_issues set status = 'failed', key = 'k' || id where crashes = 1`;
    expectNarrow(await nodesOf(db, (queryable) => reclassify(queryable, leases)));
    expect(
      await t.sql`select count(*)::int as revived from cape_issues where status = 'pending' and key is not null`,
    ).toEqual([{ revived: 50 }]);
  });

  test('promoting reads the due ones', async () => {
    await t.sql`update cape_issues set run_at = now() where id in (select id from cape_issues where run_at is not null limit 30)`;
    const nodes = await nodesOf(db, (queryable) => promote(queryable, 100));
    expectNarrow(nodes);
    expect(indexes(nodes)).toEqual(new Set([undefined, 'cape_issues_parked', 'cape_issues_pkey']));
  });

  test('a claim of one takes no more than one, and a worker without a row none', async () => {
    expect(await claimAs(db, worker, { limit: 1 })).toHaveLength(1);
    expect(await claimAs(db, { id: worker.id, instance: randomUUID() }, { limit: 1 })).toEqual([]);
    await db.close();
  });
});

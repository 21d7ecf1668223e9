import { randomUUID } from 'node:crypto';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { anythingPendingFor } from '../../src/queue/drain.js';
import { beat } from '../../src/queue/lease.js';
import { promote } from '../../src/queue/promote.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { type Actor, actor, claimAs, insert, renewed } from './actors.js';

let t: TestDatabase;
let worker: Actor;

beforeAll(async () => {
  t = await createTestDatabase();
  worker = await actor(t.db, 'alleycat-1');
});

afterEach(async () => {
  await t.sql`delete from cape_issues`;
});

test('an issue whose time has come counts as pending before it is promoted, one in the future does not', async () => {
  await t.sql`insert into cape_issues (description, run_at) values ('x', now() + interval '1 hour')`;
  expect(await anythingPendingFor(t.db, worker.id)).toBe(false);
  await t.sql`update cape_issues set run_at = now() - interval '1 second'`;
  expect(await anythingPendingFor(t.db, worker.id)).toBe(true);
});

test('a lease may last fractions of a second', async () => {
  await insert(t.sql, 'x');
  const [claim] = await claimAs(t.db, worker, { leaseSeconds: 10.5 });
  const left = async () => {
    const [row] = await t.sql`select extract(epoch from lease_until - started_at)::float8 as s from cape_leases`;
    return row!.s;
  };
  expect(await left()).toBe(10.5);
  const leases = [{ id: claim!.issue.id, token: claim!.token }];
  await beat(t.db, { instance: worker.instance, waiting: false, leases, leaseSeconds: 20.25 });
  expect(await left()).toBeGreaterThan(20.2);
});

describe('beat', () => {
  test('renews exactly the leases it names and reports which of them are to be ended or lost', async () => {
    const [ok, cancelled, deleted, unnamed] = (await insert(t.sql, 'a', 'b', 'c', 'd')) as [
      number,
      number,
      number,
      number,
    ];
    const claims = await claimAs(t.db, worker);
    await t.sql`update cape_leases set lease_until = now() - interval '1 second'`;
    await t.sql`update cape_leases set cancel = 'cancelled by Ann' where issue_id = ${cancelled}`;
    await t.sql`delete from cape_issues where id = ${deleted}`;
    const named = claims.filter(({ issue }) => issue.id !== unnamed);
    expect(await renewed(t.db, worker, named)).toEqual({
      [ok]: 'ok',
      [cancelled]: 'cancelled by Ann',
      [deleted]: 'lost',
    });
    const late = await t.sql`select issue_id from cape_leases where lease_until < now()`;
    expect(late).toEqual([{ issue_id: unnamed }]);
  });

  test('another token for the same issue is lost', async () => {
    await insert(t.sql, 'a');
    const [claimed] = await claimAs(t.db, worker);
    expect(Object.values(await renewed(t.db, worker, [{ ...claimed!, token: randomUUID() }]))).toEqual(['lost']);
  });

  test('a token counts for its own issue alone', async () => {
    await insert(t.sql, 'a', 'b');
    const [a] = await claimAs(t.db, worker, { limit: 1 });
    const [b] = await claimAs(t.db, worker, { limit: 1 });
    const crossed = [
      { ...a!, token: b!.token },
      { ...b!, token: a!.token },
    ];
    expect(Object.values(await renewed(t.db, worker, crossed))).toEqual(['lost', 'lost']);
    expect(Object.values(await renewed(t.db, worker, [a!, b!]))).toEqual(['ok', 'ok']);
  });

  test('never waits: a lease row that is locked is busy, a locked worker row costs nothing', async () => {
    await insert(t.sql, 'a', 'b');
    const claims = await claimAs(t.db, worker);
    const [first, second] = claims.map(({ issue }) => issue.id);
    await t.sql.begin(async (tx) => {
      await tx`select from cape_leases where issue_id = ${first!} for update`;
      await tx`select from cape_workers where id = ${worker.id} for update`;
      const before = performance.now();
      expect(await renewed(t.db, worker, claims)).toEqual({ [first!]: 'busy', [second!]: 'ok' });
      expect(performance.now() - before).toBeLessThan(8000); // a lock is waited for until the deadline, 13.5 s
    });
  });

  test('shows that the worker lives, and says so when its id is gone', async () => {
    await t.sql`update cape_workers set heartbeat_at = now() - interval '1 minute' where id = ${worker.id}`;
    const tick = { instance: worker.instance, waiting: true, leases: [], leaseSeconds: 300 };
    expect(await beat(t.db, tick)).toEqual({ registered: true, paused: false, leases: [] });
    const [row] = await t.sql`
      select heartbeat_at > now() - interval '5 seconds' as fresh, waiting_until > now() as waiting
        from cape_workers where id = ${worker.id}`;
    expect(row).toEqual({ fresh: true, waiting: true });
    expect(await beat(t.db, { ...tick, instance: randomUUID() })).toEqual({
      registered: false,
      paused: false,
      leases: [],
    });
  });
});

describe('promote', () => {
  test('makes due rows claimable, up to its limit, and tells when the next is due', async () => {
    await t.sql`
      insert into cape_issues (description, run_at) values
        ('due', now() - interval '2 seconds'), ('due too', now() - interval '1 second'),
        ('soon', now() + interval '1 hour'), ('never', 'infinity')`;
    expect((await promote(t.db, 1)).promoted).toBe(1);
    const { promoted, nextMs } = await promote(t.db, 100);
    expect(promoted).toBe(1);
    expect(nextMs).toBeGreaterThan(3_590_000);
    expect(nextMs).toBeLessThanOrEqual(3_600_000);
    const claims = await claimAs(t.db, worker);
    expect(claims.map(({ issue }) => issue.description).sort()).toEqual(['due', 'due too']);
  });

  test('says so when nothing is parked', async () => {
    expect(await promote(t.db, 100)).toEqual({ promoted: 0, nextMs: null });
  });
});

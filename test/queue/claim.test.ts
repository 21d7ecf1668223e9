import { randomUUID } from 'node:crypto';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { claim, claimedBy, START } from '../../src/queue/claim.js';
import { pause, pauses, resume } from '../../src/queue/pause.js';
import { settle } from '../../src/queue/settle.js';
import { settleAndClaim } from '../../src/queue/settle-claim.js';
import { register } from '../../src/queue/workers.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { type Actor, actor, claimAs, done, ids, insert, registration, request, stored } from './actors.js';

let t: TestDatabase;
let worker: Actor;

beforeAll(async () => {
  t = await createTestDatabase();
  worker = await actor(t.db, 'alleycat-1');
});

afterEach(async () => {
  await t.sql`delete from cape_issues`;
});

describe('claim', () => {
  test('marks the row as started by this worker and makes its lease', async () => {
    const [id] = (await insert(t.sql, 'Fix the login bug')) as [number];
    const [claimed] = await claimAs(t.db, worker);
    expect(claimed).toMatchObject({ attempt: 1, issue: { id, description: 'Fix the login bug', directed: false } });
    expect(await stored(t.sql, id)).toMatchObject({
      status: 'started',
      assigned_worker_id: 'alleycat-1',
      target_worker_id: null,
      leased: true,
      attempt: 1,
      started_at: expect.any(Date),
    });
    const [lease] = await t.sql`select *, lease_until - now() > '4 minutes' as long from cape_leases`;
    expect(lease).toMatchObject({ issue_id: id, token: claimed?.token, instance: worker.instance, long: true });
  });

  test('takes by priority, then age, then id, and directed rows before all others', async () => {
    await t.sql`
      insert into cape_issues (id, description, priority, created_at, assigned_worker_id) values
        (101, 'young', 0, now(), null), (102, 'old', 0, now() - interval '1 day', null),
        (103, 'same age', 0, now() - interval '1 day', null), (104, 'urgent', 9, now(), null),
        (105, 'lowest there is', -32768, now() - interval '9 days', null), (106, 'highest there is', 32767, now(), null),
        (107, 'mine', -5, now(), 'alleycat-1'), (108, 'another''s', 99, now(), 'alleycat-2')`;
    const claims = await claimAs(t.db, worker);
    expect(ids(claims)).toEqual([107, 106, 104, 102, 103, 101, 105]);
    expect(claims[0]?.issue.directed).toBe(true);
  });

  test('takes no more than its limit and gives one row to one worker, however many ask at once', async () => {
    await insert(t.sql, ...Array.from({ length: 60 }, (_, i) => `issue ${i}`));
    const other = await actor(t.db, 'alleycat-2');
    const batches = await Promise.all([
      ...[1, 2].map(() => claimAs(t.db, worker, { limit: 7 })),
      ...[1, 2].map(() => claimAs(t.db, other, { limit: 7 })),
    ]);
    for (const batch of batches) expect(batch.length).toBeLessThanOrEqual(7);
    const taken = batches.flatMap(ids);
    expect(new Set(taken).size).toBe(taken.length);
    expect(taken.length).toBeGreaterThan(0);
  });

  test('leaves parked rows and rows directed to others alone', async () => {
    await t.sql`insert into cape_issues (description, run_at) values ('later', now() + interval '1 hour')`;
    await t.sql`insert into cape_issues (description, assigned_worker_id) values ('not mine', 'xhundred-1')`;
    expect(await claimAs(t.db, worker)).toEqual([]);
  });

  test('takes rows that an open insert of another table refers to', async () => {
    const [id] = (await insert(t.sql, 'referred to')) as [number];
    await t.sql`create table comments (issue_id int references cape_issues(id) on delete cascade)`;
    await t.sql.begin(async (tx) => {
      await tx`insert into comments values (${id})`;
      const [claimed] = await claimAs(t.db, worker);
      expect(claimed?.issue.id).toBe(id);
      expect(await settle(t.db, [done(claimed!)])).toEqual([{ id, status: 'completed' }]);
    });
    await t.sql`drop table comments`;
  });

  test('takes nothing while the worker or everybody is paused, also one that nobody has seen yet', async () => {
    await insert(t.sql, 'waits');
    await pause(t.db, 'brand-new');
    const fresh = await actor(t.db, 'brand-new');
    expect(await claimAs(t.db, fresh)).toEqual([]);
    await pause(t.db, null);
    expect(await claimAs(t.db, worker)).toEqual([]);
    expect(await pauses(t.db)).toEqual({ everybody: true, workers: ['brand-new'] });
    await resume(t.db, null);
    expect(await pauses(t.db)).toEqual({ everybody: false, workers: [] });
    expect(await claimAs(t.db, fresh)).toHaveLength(1);
  });

  test('takes nothing for a process whose worker id another one has', async () => {
    await insert(t.sql, 'waits');
    const old = await actor(t.db, 'contested');
    const successor = registration('contested');
    expect(await register(t.db, successor, old.instance)).toMatchObject({
      state: 'registered',
      previous: { instance: old.instance },
    });
    expect(await claimAs(t.db, old)).toEqual([]);
    expect(await claimAs(t.db, { id: 'contested', instance: successor.instance })).toHaveLength(1);
  });

  test('a claim whose answer was lost is found again by its token', async () => {
    await insert(t.sql, 'one', 'two', 'three');
    const token = randomUUID();
    expect(await claimedBy(t.db, token)).toEqual([]);
    const claims = await claimAs(t.db, worker, { token });
    expect(await claimedBy(t.db, token)).toEqual(claims);
    await settle(t.db, [done(claims[0]!)]);
    expect(await claimedBy(t.db, token)).toEqual(claims.slice(1));
  });

  test('settles and claims in one statement, either part possibly empty', async () => {
    await insert(t.sql, 'one', 'two', 'three');
    const first = await settleAndClaim(t.db, [], request(worker, { limit: 2 }));
    expect(first.settled).toEqual([]);
    const second = await settleAndClaim(
      t.db,
      first.claims.map((one) => done(one)),
      request(worker, { limit: 2 }),
    );
    expect(second.settled.map(({ status }) => status)).toEqual(['completed', 'completed']);
    expect(second.claims.map(({ issue }) => issue.description)).toEqual(['three']);
    expect(second.hint).toBe(START);
    const third = await settleAndClaim(
      t.db,
      second.claims.map((one) => done(one)),
      request(worker, { limit: 0 }),
    );
    expect(third).toMatchObject({ settled: [{ status: 'completed' }], claims: [] });
  });

  test('a hint skips what lies before it and is dropped after a short answer, so no row is lost', async () => {
    await insert(t.sql, ...Array.from({ length: 25 }, (_, i) => `issue ${i}`));
    const seen: number[] = [];
    let hint = START;
    for (let turn = 0; turn < 4; turn += 1) {
      const answer = await claim(t.db, request(worker, { limit: 10, hint }));
      seen.push(...ids(answer.claims));
      hint = answer.hint;
      if (turn === 0) {
        expect(hint).toMatchObject({ priority: 0, id: seen.at(-1) });
        await t.sql`insert into cape_issues (description, priority) values ('came in front of the hint', 5)`;
      }
      if (turn === 2) expect(hint).toBe(START);
    }
    expect(new Set(seen).size).toBe(26);
  });
});

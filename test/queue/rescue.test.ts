import { randomUUID } from 'node:crypto';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { CRASH_CAP } from '../../src/core/issue.js';
import { expired, reclassify, releaseDead, rescue } from '../../src/queue/rescue.js';
import { settle } from '../../src/queue/settle.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { type Actor, actor, claimAs, done, insert, renewed, stored } from './actors.js';

let t: TestDatabase;
let dead: Actor;
let live: Actor;

beforeAll(async () => {
  t = await createTestDatabase();
  dead = await actor(t.db, 'dead-1');
  live = await actor(t.db, 'live-1');
});

afterEach(async () => {
  await t.sql`delete from cape_issues`;
});

const expire = () => t.sql`update cape_leases set lease_until = now() - interval '1 second'`;

/** One crash of the worker that runs the issue. */
async function crash(id: number) {
  const [claimed] = await claimAs(t.db, dead);
  expect(claimed?.issue.id).toBe(id);
  await expire();
  const [rescued] = await rescue(t.db, await expired(t.db));
  return { claimed: claimed!, rescued };
}

describe('rescue', () => {
  test('takes what its holder left, says from whom and why, and the old holder is told', async () => {
    const [id] = (await insert(t.sql, 'left behind')) as [number];
    const { claimed, rescued } = await crash(id);
    expect(rescued).toEqual({ id, attempt: 1, worker_id: 'dead-1', status: 'pending' });
    const error = 'worker dead-1 was gone: its lease ran out';
    expect(await stored(t.sql, id)).toMatchObject({
      status: 'pending',
      crashes: 1,
      failures: 0,
      last_error: error,
      leased: false,
    });
    expect(await t.sql`select outcome, error from cape_attempts`).toEqual([{ outcome: 'crashed', error }]);
    expect(await settle(t.db, [done(claimed)])).toEqual([{ id, status: 'lost' }]);
    expect((await claimAs(t.db, live))[0]).toMatchObject({ attempt: 2, issue: { id, crashes: 1 } });
  });

  test('when every lease looks expired at once, only those that nobody renews meanwhile are taken', async () => {
    await insert(t.sql, ...Array.from({ length: 40 }, (_, i) => `issue ${i}`));
    const mine = await claimAs(t.db, live, { limit: 35 });
    const gone = await claimAs(t.db, dead, { limit: 5 });
    await expire();
    const seen = await expired(t.db);
    expect(seen).toHaveLength(40);
    await renewed(t.db, live, mine);
    const rescuers = await Promise.all([rescue(t.db, seen), rescue(t.db, seen), rescue(t.db, seen)]);
    const taken = rescuers.flat().map(({ id }) => id);
    expect(taken.sort((a, b) => a - b)).toEqual(gone.map(({ issue }) => issue.id).sort((a, b) => a - b));
    expect(Object.values(await renewed(t.db, live, mine))).toEqual(Array(35).fill('ok'));
  });

  test('a lease that was renewed and has expired again is not the one that was seen', async () => {
    await insert(t.sql, 'slow');
    const claims = await claimAs(t.db, live);
    await expire();
    const seen = await expired(t.db);
    await renewed(t.db, live, claims);
    await expire();
    expect(await rescue(t.db, seen)).toEqual([]);
  });

  test('a cancelled issue whose worker crashed ends cancelled', async () => {
    const [id] = (await insert(t.sql, 'unwanted')) as [number];
    await claimAs(t.db, dead);
    await expire();
    await t.sql`update cape_leases set cancel = 'by Ann'`;
    expect(await rescue(t.db, await expired(t.db))).toMatchObject([{ id, status: 'cancelled' }]);
  });

  test(`the ${CRASH_CAP}rd crash ends the issue failed`, async () => {
    const [id] = (await insert(t.sql, 'kills its worker')) as [number];
    for (let n = 1; n < CRASH_CAP; n += 1) expect((await crash(id)).rescued?.status).toBe('pending');
    expect((await crash(id)).rescued?.status).toBe('failed');
    expect(await stored(t.sql, id)).toMatchObject({
      status: 'failed',
      crashes: CRASH_CAP,
      completed_at: expect.any(Date),
    });
  });
});

describe('releaseDead', () => {
  test('takes everything of a dead process at once, and nothing of another', async () => {
    await insert(t.sql, 'a', 'b', 'c');
    const [a, b] = await claimAs(t.db, dead, { limit: 2 });
    const [c] = await claimAs(t.db, live, { limit: 1 });
    await t.sql.begin(async (tx) => {
      await tx`update cape_issues set description = 'locked' where id = ${b!.issue.id}`;
      const { taken, left } = await releaseDead(t.db, dead.instance);
      expect(taken).toMatchObject([{ id: a!.issue.id, status: 'pending' }]);
      expect(left).toBe(1);
    });
    expect(await releaseDead(t.db, dead.instance)).toMatchObject({ taken: [{ id: b!.issue.id }], left: 0 });
    expect(await releaseDead(t.db, dead.instance)).toEqual({ taken: [], left: 0 });
    expect(Object.values(await renewed(t.db, live, [c!]))).toEqual(['ok']);
    expect((await stored(t.sql, a!.issue.id)).last_error).toBe('worker dead-1 died');
  });
});

describe('reclassify', () => {
  test('a worker that was only cut off takes its crash back', async () => {
    const [id] = (await insert(t.sql, 'outage')) as [number];
    const { claimed } = await crash(id);
    const report = { id, token: claimed.token };
    expect(await reclassify(t.db, [report, { id, token: randomUUID() }])).toEqual([
      { ...report, state: 'interrupted' },
    ]);
    expect(await stored(t.sql, id)).toMatchObject({ status: 'pending', crashes: 0 });
    expect(await t.sql`select outcome from cape_attempts`).toEqual([{ outcome: 'interrupted' }]);
    expect(await reclassify(t.db, [report])).toEqual([]);
  });

  test('an issue that failed by the crash cap comes back to pending, whichever of the crashes was none', async () => {
    const [id] = (await insert(t.sql, 'unlucky')) as [number];
    const first = await crash(id);
    await crash(id);
    await crash(id);
    expect((await stored(t.sql, id)).status).toBe('failed');
    expect(await reclassify(t.db, [{ id, token: first.claimed.token }])).toMatchObject([{ state: 'pending' }]);
    expect(await stored(t.sql, id)).toMatchObject({
      status: 'pending',
      crashes: CRASH_CAP - 1,
      completed_at: null,
      assigned_worker_id: null,
    });
    expect(await claimAs(t.db, live)).toHaveLength(1);
  });

  test('an issue whose key another unfinished one has by now stays failed', async () => {
    const [id] = (await insert(t.sql, 'unlucky')) as [number];
    await t.sql`update cape_issues set key = 'nightly' where id = ${id}`;
    const { claimed } = await crash(id);
    await crash(id);
    await crash(id);
    await t.sql`insert into cape_issues (description, key) values ('its successor', 'nightly')`;
    expect(await reclassify(t.db, [{ id, token: claimed.token }])).toMatchObject([{ state: 'interrupted' }]);
    expect((await stored(t.sql, id)).status).toBe('failed');
  });

  test('an issue that ended otherwise meanwhile stays ended, and a locked one is to be reported again', async () => {
    const [id] = (await insert(t.sql, 'went on')) as [number];
    const { claimed } = await crash(id);
    const [again] = await claimAs(t.db, live);
    await settle(t.db, [done(again!)]);
    const report = { id, token: claimed.token };
    await t.sql.begin(async (tx) => {
      await tx`select from cape_issues where id = ${id} for update`;
      expect(await reclassify(t.db, [report])).toEqual([{ ...report, state: 'busy' }]);
    });
    expect(await reclassify(t.db, [report])).toEqual([{ ...report, state: 'interrupted' }]);
    expect(await stored(t.sql, id)).toMatchObject({ status: 'completed', crashes: 0 });
  });
});

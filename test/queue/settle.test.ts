import { randomUUID } from 'node:crypto';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Claim } from '../../src/core/issue.js';
import { decide } from '../../src/core/outcome.js';
import { failureOf } from '../../src/db/failure.js';
import { releaseDead } from '../../src/queue/rescue.js';
import { settle, settledOrHeld, stripText } from '../../src/queue/settle.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { type Actor, actor, claimAs, done, ended, insert, renewed, requeued, stored } from './actors.js';

let t: TestDatabase;
let worker: Actor;

beforeAll(async () => {
  t = await createTestDatabase();
  worker = await actor(t.db, 'alleycat-1');
});

afterEach(async () => {
  await t.sql`delete from cape_issues`;
});

async function one(description = 'Fix the login bug') {
  const [id] = (await insert(t.sql, description)) as [number];
  const [claimed] = await claimAs(t.db, worker, { limit: 1 });
  return { id, claimed: claimed! };
}

describe('settle', () => {
  test('completes the issue, drops the lease and writes one row of history', async () => {
    const { id, claimed } = await one();
    const settlement = done(claimed, { exitCode: 0, tail: 'bye\n', result: 'PR #7' });
    expect(await settle(t.db, [settlement])).toEqual([{ id, status: 'completed' }]);
    expect(await stored(t.sql, id)).toMatchObject({
      status: 'completed',
      leased: false,
      result: 'PR #7',
      assigned_worker_id: 'alleycat-1',
      completed_at: expect.any(Date),
      started_at: expect.any(Date),
    });
    expect(await t.sql`select * from cape_leases`).toHaveLength(0);
    expect(await t.sql`select * from cape_attempts where issue_id = ${id}`).toMatchObject([
      {
        attempt: 1,
        token: claimed.token,
        worker_id: 'alleycat-1',
        outcome: 'succeeded',
        exit_code: 0,
        tail: 'bye\n',
        log_path: '/var/log/cape/1.log',
        log_host: 'test-host',
      },
    ]);
  });

  test('a requeued issue is parked for its delay, charged, and goes back to the worker that it was directed to', async () => {
    await t.sql`insert into cape_issues (description, assigned_worker_id) values ('mine alone', 'alleycat-1')`;
    const [claimed] = await claimAs(t.db, worker);
    const { id } = claimed!.issue;
    expect(await settle(t.db, [requeued(claimed!, 60_000, 'failure')])).toEqual([{ id, status: 'pending' }]);
    expect(await stored(t.sql, id)).toMatchObject({
      status: 'pending',
      failures: 1,
      crashes: 0,
      started_at: null,
      completed_at: null,
      assigned_worker_id: 'alleycat-1',
    });
    const [row] =
      await t.sql`select extract(epoch from run_at - now())::int as seconds from cape_issues where id = ${id}`;
    expect(row?.seconds).toBeGreaterThan(55);
    expect(row?.seconds).toBeLessThanOrEqual(60);
  });

  test('an interrupted issue is claimable at once, uncharged, by anyone', async () => {
    const { id, claimed } = await one();
    await settle(t.db, [requeued(claimed)]);
    expect(await stored(t.sql, id)).toMatchObject({ failures: 0, crashes: 0, run_at: null, assigned_worker_id: null });
    const [again] = await claimAs(t.db, await actor(t.db));
    expect(again).toMatchObject({ attempt: 2, issue: { id } });
  });

  test('a zombie hears "lost" and writes nothing, also after its issue was claimed again', async () => {
    const { id, claimed } = await one();
    await settle(t.db, [requeued(claimed)]);
    expect(await settle(t.db, [done(claimed)])).toEqual([{ id, status: 'lost' }]);
    const [again] = await claimAs(t.db, worker);
    expect(await settle(t.db, [done(claimed)])).toEqual([{ id, status: 'lost' }]);
    expect(await settle(t.db, [done(again!)])).toEqual([{ id, status: 'completed' }]);
    expect(await t.sql`select * from cape_attempts where issue_id = ${id}`).toHaveLength(2);
  });

  test('a row that another program has locked is busy, its lease is renewed all the same, and its neighbours are settled', async () => {
    await insert(t.sql, ...Array.from({ length: 10 }, (_, i) => `issue ${i}`));
    const claims = await claimAs(t.db, worker);
    const locked = claims[6]!;
    await t.sql.begin(async (tx) => {
      await tx`update cape_issues set description = 'edited' where id = ${locked.issue.id}`;
      expect(Object.values(await renewed(t.db, worker, claims))).toEqual(Array(10).fill('ok'));
      const answers = await settle(
        t.db,
        claims.map((claim) => done(claim)),
      );
      expect(answers.filter(({ status }) => status === 'busy')).toEqual([{ id: locked.issue.id, status: 'busy' }]);
      expect(answers.filter(({ status }) => status === 'completed')).toHaveLength(9);
    });
    expect(await settle(t.db, [done(locked)])).toEqual([{ id: locked.issue.id, status: 'completed' }]);
  });

  test('of a batch, those that end alike and those that do not are each written and answered by their own', async () => {
    await insert(t.sql, ...Array.from({ length: 6 }, (_, i) => `issue ${i}`));
    const [a, b, c, d, e, f] = (await claimAs(t.db, worker)) as [Claim, Claim, Claim, Claim, Claim, Claim];
    await releaseDead(
      t.db,
      worker.instance,
      [a, b, d, e, f].map(({ issue }) => issue.id),
    );
    const ends = [done(a), done(b), done(c), done(d, { result: 'PR #7' }), requeued(e), done(f, { result: 'PR #8' })];
    expect(await settle(t.db, ends)).toEqual([
      { id: a.issue.id, status: 'completed' },
      { id: b.issue.id, status: 'completed' },
      { id: c.issue.id, status: 'lost' },
      { id: d.issue.id, status: 'completed' },
      { id: e.issue.id, status: 'pending' },
      { id: f.issue.id, status: 'completed' },
    ]);
    const rows = await t.sql`
      select i.status, i.result, a.outcome from cape_issues i join cape_attempts a on a.issue_id = i.id order by i.id`;
    expect(rows.map(({ status, result, outcome }) => [status, result, outcome])).toEqual([
      ['completed', null, 'succeeded'],
      ['completed', null, 'succeeded'],
      ['pending', null, 'crashed'],
      ['completed', 'PR #7', 'succeeded'],
      ['pending', null, 'interrupted'],
      ['completed', 'PR #8', 'succeeded'],
    ]);
  });

  test('a cancel mark turns a release into cancelled, but a command that exited 0 has completed', async () => {
    const first = await one('to be released');
    const second = await one('was quicker');
    await t.sql`update cape_leases set cancel = 'by Ann'`;
    expect(await settle(t.db, [requeued(first.claimed), done(second.claimed)])).toEqual(
      expect.arrayContaining([
        { id: first.id, status: 'cancelled' },
        { id: second.id, status: 'completed' },
      ]),
    );
    expect(await stored(t.sql, first.id)).toMatchObject({ completed_at: expect.any(Date), leased: false });
  });

  test('after a lost answer, asking tells what was settled, what is still held, and what is lost', async () => {
    const written = await one('written');
    const open = await one('open');
    await settle(t.db, [done(written.claimed)]);
    const attempts = [written, open].map(({ claimed }) => done(claimed));
    const answers = await settledOrHeld(t.db, [...attempts, { ...done(open.claimed), token: randomUUID() }]);
    expect(answers.map(({ state }) => state)).toEqual(['settled', 'held', 'lost']);
  });

  test.each([
    { atClaim: 2, now: 1, becomes: 'pending' },
    { atClaim: 1, now: 2, becomes: 'failed' },
  ] as const)(
    'a crash is the last by the count of now ($now), not by that of the claim ($atClaim)',
    async ({ atClaim, now, becomes }) => {
      const { id, claimed } = await one();
      const counts = { ...claimed.issue, crashes: atClaim };
      const outcome = { kind: 'crashed', error: 'the keeper was killed' } as const;
      const verdict = decide(outcome, counts, { maxAttempts: 3, baseMs: 0, capMs: 0, unrunnableMs: 0 }, 0);
      // Meanwhile another attempt was found to be no crash, or to be one.
      await t.sql`update cape_issues set crashes = ${now} where id = ${id}`;
      expect(await settle(t.db, [{ ...done(claimed), verdict, outcome }])).toEqual([{ id, status: becomes }]);
      expect(await stored(t.sql, id)).toMatchObject({ status: becomes, crashes: now + 1 });
    },
  );

  test('an attempt that a rescuer has booked as a crash is lost, not settled', async () => {
    const { claimed } = await one('taken meanwhile');
    await releaseDead(t.db, worker.instance);
    expect(await settledOrHeld(t.db, [done(claimed)])).toMatchObject([{ state: 'lost' }]);
  });

  test('NUL and broken Unicode in the texts are replaced, not fatal', async () => {
    const { id, claimed } = await one();
    const texts = { tail: 'a\0b', result: 'half a \ud83d pair, a whole one \ud83d\ude00', error: '\\u0000 stays' };
    expect(await settle(t.db, [done(claimed, texts)])).toEqual([{ id, status: 'completed' }]);
    const [row] = await t.sql`select tail, error from cape_attempts where issue_id = ${id}`;
    expect(row).toEqual({ tail: 'a\ufffdb', error: '\\u0000 stays' });
    expect((await stored(t.sql, id)).result).toBe('half a \ufffd pair, a whole one \ud83d\ude00');
  });

  test('a row that cannot be written fails the statement as bad data, and goes through alone without its texts', async () => {
    await t.sql`alter table cape_attempts add constraint refuses check (tail <> 'poison')`;
    const good = await one('good');
    const bad = await one('bad');
    const poison = done(bad.claimed, { tail: 'poison' });
    const error = await settle(t.db, [done(good.claimed), poison]).catch((thrown: unknown) => thrown);
    expect(failureOf(error)).toMatchObject({ kind: 'data', unclear: false });
    expect(await settle(t.db, [done(good.claimed)])).toEqual([{ id: good.id, status: 'completed' }]);
    expect(await settle(t.db, [stripText(poison)])).toEqual([{ id: bad.id, status: 'completed' }]);
    await t.sql`alter table cape_attempts drop constraint refuses`;
  });

  test('an issue whose attempts somebody set back is settled, and the older history stands', async () => {
    const { id, claimed } = await one();
    await settle(t.db, [requeued(claimed)]);
    await t.sql`update cape_issues set attempt = 0 where id = ${id}`;
    const [again] = await claimAs(t.db, worker);
    expect(await settle(t.db, [done(again!)])).toEqual([{ id, status: 'completed' }]);
    expect(await t.sql`select token from cape_attempts where issue_id = ${id}`).toEqual([{ token: claimed.token }]);
  });

  test('a lost attempt ("nothing" to be written) leaves the row alone', async () => {
    const { id, claimed } = await one();
    expect(await settle(t.db, [ended(claimed, { action: 'nothing' }, 'lost')])).toEqual([]);
    expect(await stored(t.sql, id)).toMatchObject({ status: 'started', leased: true });
  });
});

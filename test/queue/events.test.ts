/** Every change of an issue is told by the statement that makes it, numbered without a gap. */
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { append } from '../../src/events/append.js';
import { assign, cancel, remove, retry } from '../../src/queue/operate.js';
import { expired, reclassify, rescue } from '../../src/queue/rescue.js';
import { settle } from '../../src/queue/settle.js';
import { settleAndClaim } from '../../src/queue/settle-claim.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { type Actor, actor, claimAs, done, ended, insert, renewed, request, requeued, stored } from './actors.js';

let t: TestDatabase;
let worker: Actor;

beforeAll(async () => {
  t = await createTestDatabase();
  worker = await actor(t.db, 'alleycat-1');
});

afterEach(async () => {
  await t.sql`delete from cape_issues`;
});

const told = async (id: number) =>
  (await t.sql`select seq, attempt, kind, data from cape_events where issue_id = ${id} order by seq`).map(
    ({ seq, attempt, kind, data }) => [seq, attempt, kind, data],
  );

async function running() {
  const [id] = (await insert(t.sql, 'Fix the login bug')) as [number];
  const [claimed] = await claimAs(t.db, worker);
  return { id, claimed: claimed!, held: { id, token: claimed!.token } };
}

const expire = () => t.sql`update cape_leases set lease_until = now() - interval '1 second'`;

describe('a worker tells', () => {
  test('an INSERT nothing, a claim the start and a settlement the end, with who and when', async () => {
    const [id] = (await insert(t.sql, 'one')) as [number];
    expect(await told(id)).toEqual([]);
    const claims = await claimAs(t.db, worker);
    await settle(
      t.db,
      claims.map((one) => done(one, { exitCode: 0 })),
    );
    expect(await told(id)).toEqual([
      [1, 1, 'started', null],
      [2, 1, 'completed', { outcome: 'succeeded', exit_code: 0, signal: null, error: null }],
    ]);
    const [event] = await t.sql`select worker_id, at = (select started_at from cape_issues where id = ${id}) as same,
                                       xid::text ~ '^[1-9]' as numbered from cape_events where seq = 1`;
    expect(event).toEqual({ worker_id: 'alleycat-1', same: true, numbered: true });
    expect(await stored(t.sql, id)).toMatchObject({ events: 2 });
  });

  test('both in the one statement that settles what ended and claims the next', async () => {
    const { id, claimed } = await running();
    const [next] = (await insert(t.sql, 'next')) as [number];
    await settleAndClaim(t.db, [done(claimed)], request(worker));
    expect((await told(id)).map(([, , kind]) => kind)).toEqual(['started', 'completed']);
    expect((await told(next)).map(([, , kind]) => kind)).toEqual(['started']);
  });

  test('why an issue is pending again: a retry with its charge, a release without one', async () => {
    const { id, claimed } = await running();
    const failed = {
      ...requeued(claimed, 1500, 'failure'),
      outcome: { kind: 'failed', exitCode: 3, error: 'exit code 3' } as const,
    };
    await settle(t.db, [failed]);
    await t.sql`update cape_issues set run_at = null`;
    const [second] = await claimAs(t.db, worker);
    const released = {
      ...requeued(second!),
      outcome: { kind: 'interrupted', error: 'the worker was stopped' } as const,
    };
    await settle(t.db, [released]);
    expect((await told(id)).slice(1)).toEqual([
      [
        2,
        1,
        'retry',
        {
          by: 'worker',
          outcome: 'failed',
          exit_code: 3,
          signal: null,
          error: 'exit code 3',
          delay_ms: 1500,
          charge: 'failure',
        },
      ],
      [3, 2, 'started', null],
      [4, 2, 'released', { outcome: 'interrupted', error: 'the worker was stopped' }],
    ]);
  });

  test('an end that failed, with its exit code', async () => {
    const { id, claimed } = await running();
    const failed = ended(claimed, { action: 'finish', status: 'failed', charge: 'failure' }, 'invalid', {
      exitCode: 65,
      error: 'exit code 65: refused for good',
    });
    await settle(t.db, [failed]);
    expect((await told(id)).at(-1)).toEqual([
      2,
      1,
      'failed',
      { outcome: 'invalid', exit_code: 65, signal: null, error: 'exit code 65: refused for good' },
    ]);
  });

  test('nothing where the attempt is lost or its row locked', async () => {
    const { id, claimed } = await running();
    await t.sql.begin(async (tx) => {
      await tx`select from cape_issues where id = ${id} for update`;
      expect(await settle(t.db, [done(claimed)])).toEqual([{ id, status: 'busy' }]);
    });
    expect(await settle(t.db, [done({ ...claimed, token: crypto.randomUUID() })])).toEqual([{ id, status: 'lost' }]);
    expect(await told(id)).toHaveLength(1);
  });
});

describe('a number that is taken already', () => {
  const take = (id: number) =>
    t.sql`insert into cape_events (issue_id, seq, kind) values (${id}, 1, 'by_hand'), (${id}, 2, 'by_hand')`;

  test('costs an event, and neither the start nor the end of an issue', async () => {
    const [id] = (await insert(t.sql, 'one')) as [number];
    await take(id);
    const [claimed] = await claimAs(t.db, worker);
    expect(await settle(t.db, [done(claimed!)])).toEqual([{ id, status: 'completed' }]);
    expect((await told(id)).map(([, , kind]) => kind)).toEqual(['by_hand', 'by_hand']);
  });

  test('keeps nobody from being rescued', async () => {
    const { id } = await running();
    const other = await running();
    await t.sql`insert into cape_events (issue_id, seq, kind) values (${id}, 2, 'by_hand')`;
    await expire();
    expect((await rescue(t.db, await expired(t.db))).map((one) => one.id).sort()).toEqual([id, other.id].sort());
  });
});

describe('a rescuer tells', () => {
  test('whom it took the issue from, then its failure by the cap, then that the worker came back', async () => {
    const { id, claimed } = await running();
    await t.sql`update cape_issues set crashes = 1`;
    await expire();
    await rescue(t.db, await expired(t.db));
    const [second] = await claimAs(t.db, worker);
    await expire();
    await rescue(t.db, await expired(t.db));
    const error = 'worker alleycat-1 was gone: its lease ran out';
    expect((await told(id)).slice(1)).toEqual([
      [2, 1, 'rescued', { worker: 'alleycat-1', error }],
      [3, 2, 'started', null],
      [4, 2, 'failed', { outcome: 'crashed', exit_code: null, signal: null, error }],
    ]);
    expect(await reclassify(t.db, [{ id, token: second!.token }])).toMatchObject([{ state: 'pending' }]);
    const late = { error: `${error}; it came back and had ended the command in time` };
    expect((await told(id)).slice(4)).toEqual([[5, 2, 'lost', late]]);
    // While the issue runs anew, the number comes from its lease.
    await claimAs(t.db, worker);
    expect(await reclassify(t.db, [{ id, token: claimed.token }])).toMatchObject([{ state: 'interrupted' }]);
    expect((await told(id)).slice(5)).toEqual([
      [6, 3, 'started', null],
      [7, 1, 'lost', late],
    ]);
    expect((await t.sql`select events from cape_leases`)[0]).toEqual({ events: 7 });
  });
});

describe('a person tells', () => {
  test('cancel asked of what runs, a cancel of what waits, a retry, a direction', async () => {
    const { id, claimed } = await running();
    await cancel(t.db, id, 'not needed');
    await settle(t.db, [ended(claimed, { action: 'finish', status: 'cancelled', charge: 'none' }, 'cancelled')]);
    await retry(t.db, id);
    await assign(t.db, id, 'xhundred-1');
    await t.sql`update cape_issues set run_at = now() + interval '1 hour'`;
    await retry(t.db, id);
    await cancel(t.db, id);
    expect((await told(id)).slice(1)).toEqual([
      [2, 1, 'cancel_asked', { reason: 'not needed' }],
      [3, 1, 'cancelled', { outcome: 'cancelled', exit_code: null, signal: null, error: null }],
      [4, null, 'retry', { by: 'person', delay_ms: 0, charge: 'none' }],
      [5, null, 'assigned', { worker: 'xhundred-1' }],
      [6, null, 'retry', { by: 'person', delay_ms: 0, charge: 'none' }],
      [7, null, 'cancelled', { outcome: null, exit_code: null, signal: null, error: 'cancelled' }],
    ]);
    expect(await stored(t.sql, id)).toMatchObject({ events: 7 });
  });

  test('another status that is written by hand, while it runs and afterwards', async () => {
    const { id, claimed } = await running();
    await t.sql`update cape_issues set status = 'pending' where id = ${id}`;
    expect(await renewed(t.db, worker, [claimed])).toEqual({ [id]: 'set to pending by hand' });
    await settle(t.db, [requeued(claimed)]);
    await t.sql`update cape_issues set status = 'completed' where id = ${id}`;
    await t.sql`update cape_issues set status = 'started' where id = ${id}`;
    await t.sql`update cape_issues set status = 'failed', completed_at = now() where id = ${id}`;
    await t.sql`update cape_issues set description = 'no change of status', priority = 3 where id = ${id}`;
    expect((await told(id)).slice(1)).toEqual([
      [2, 1, 'by_hand', { from: 'started', to: 'pending' }],
      [3, 1, 'released', { outcome: 'interrupted', error: null }],
      [4, null, 'by_hand', { from: 'pending', to: 'completed' }],
      [5, null, 'by_hand', { from: 'completed', to: 'started' }],
      [6, 2, 'by_hand', { from: 'started', to: 'failed' }],
    ]);
  });

  test('nothing by hand where a statement of ours changes the status', async () => {
    const { id, claimed } = await running();
    await settle(t.db, [done(claimed)]);
    await retry(t.db, id);
    await cancel(t.db, id);
    expect(await t.sql`select from cape_events where kind = 'by_hand'`).toHaveLength(0);
  });

  test('nothing any more of an issue that is deleted, or truncated away', async () => {
    const { id, claimed } = await running();
    await settle(t.db, [done(claimed)]);
    await remove(t.db, id);
    expect(await told(id)).toEqual([]);
    await running();
    await t.sql`truncate cape_issues`;
    expect(await t.sql`select from cape_events`).toHaveLength(0);
  });
});

describe('a running attempt tells', () => {
  const output = (text: string) => ({ kind: 'output', data: { offset: 0, text } }) as const;

  test('what it prints, in order, numbered between its start and its end', async () => {
    const one = await running();
    const two = await running();
    const answer = await append(t.db, [
      { ...one.held, ...output('a') },
      { ...two.held, ...output('x') },
      { ...one.held, ...output('b') },
    ]);
    expect(answer).toHaveLength(2);
    expect(answer.map(({ state }) => state)).toEqual(['ok', 'ok']);
    await append(t.db, [{ ...one.held, kind: 'progress', data: { percent: 40, message: 'building' } }]);
    await settle(t.db, [done(one.claimed), done(two.claimed)]);
    expect((await told(one.id)).map(([seq, , kind, data]) => [seq, kind, data?.text])).toEqual([
      [1, 'started', undefined],
      [2, 'output', 'a'],
      [3, 'output', 'b'],
      [4, 'progress', undefined],
      [5, 'completed', undefined],
    ]);
    expect(await told(two.id)).toHaveLength(3);
  });

  test('nothing once it is lost, and nothing for the moment where its lease is locked; others are not held up', async () => {
    const one = await running();
    const two = await running();
    await t.sql.begin(async (tx) => {
      await tx`select from cape_leases where issue_id = ${one.id} for update`;
      const events = [
        { ...one.held, ...output('a') },
        { ...two.held, ...output('b') },
        { id: two.id, token: crypto.randomUUID(), ...output('not mine') },
      ];
      const states = (await append(t.db, events)).map(({ id, token, state }) => [id, token === two.held.token, state]);
      expect(states).toContainEqual([one.id, false, 'busy']);
      expect(states).toContainEqual([two.id, true, 'ok']);
      expect(states).toContainEqual([two.id, false, 'lost']);
    });
    expect(await told(one.id)).toHaveLength(1);
    expect(await told(two.id)).toHaveLength(2);
  });

  test('and a renewal that meets it at that is told "busy" and comes again', async () => {
    const { id, claimed, held } = await running();
    const states: unknown[] = [];
    await t.db.transaction(async (tx) => {
      await append(tx, [{ ...held, ...output('a') }]);
      states.push(await renewed(t.db, worker, [claimed]));
    });
    states.push(await renewed(t.db, worker, [claimed]));
    expect(states).toEqual([{ [id]: 'busy' }, { [id]: 'ok' }]);
  });

  test('while a person cancels it, without two events of one number', async () => {
    const { id, held } = await running();
    const cancelling = t.db.transaction(async (tx) => {
      await append(tx, [{ ...held, ...output('a') }]);
      const other = cancel(t.db, id);
      await t.sql`select pg_sleep(0.1)`;
      return { other };
    });
    await (await cancelling).other;
    expect((await told(id)).map(([seq, , kind]) => [seq, kind])).toEqual([
      [1, 'started'],
      [2, 'output'],
      [3, 'cancel_asked'],
    ]);
  });

  test('and what it tells while its issue is deleted goes with it', async () => {
    const { id, held } = await running();
    const { deleting } = await t.db.transaction(async (tx) => {
      await append(tx, [{ ...held, ...output('a') }]);
      const deleting = t.sql`delete from cape_issues where id = ${id}`.execute();
      await t.sql`select pg_sleep(0.1)`;
      return { deleting };
    });
    await deleting;
    expect(await told(id)).toEqual([]);
  });
});

test('an older program beside us, which counts nothing, makes no two events of one number', async () => {
  const { id, held } = await running();
  await append(t.db, [
    { ...held, kind: 'output', data: { offset: 0, text: 'a' } },
    { ...held, kind: 'output', data: { offset: 1, text: 'b' } },
  ]);
  // What it does at a rescue, and at a claim of the same issue.
  await t.sql`delete from cape_leases where issue_id = ${id}`;
  await t.sql`update cape_issues set status = 'pending', leased = false, started_at = null where id = ${id}`;
  await t.sql`update cape_issues set status = 'started', leased = true, started_at = now(), attempt = 2 where id = ${id}`;
  await t.sql`insert into cape_leases (issue_id, attempt, token, worker_id, instance, lease_until)
              values (${id}, 2, gen_random_uuid(), 'older-1', gen_random_uuid(), now() - interval '1 second')`;
  await rescue(t.db, await expired(t.db));
  const [again] = await claimAs(t.db, worker);
  await settle(t.db, [done(again!)]);
  await t.sql`update cape_issues set status = 'pending' where id = ${id}`;
  expect((await told(id)).map(([seq, attempt, kind]) => [seq, attempt, kind])).toEqual([
    [1, 1, 'started'],
    [2, 1, 'output'],
    [3, 1, 'output'],
    [4, 2, 'rescued'],
    [5, 3, 'started'],
    [6, 3, 'completed'],
    [7, null, 'by_hand'],
  ]);
});

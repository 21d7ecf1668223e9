/** What a person does to an issue, alone and against a worker that does something at the same moment. */
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { assign, cancel, remove, retry } from '../../src/queue/operate.js';
import { releaseDead } from '../../src/queue/rescue.js';
import { settle } from '../../src/queue/settle.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { until } from '../support/until.js';
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

async function pending() {
  return (await insert(t.sql, 'Fix the login bug'))[0] as number;
}

async function running() {
  const id = await pending();
  const [claimed] = await claimAs(t.db, worker);
  return { id, claimed: claimed! };
}

async function failed() {
  const { id, claimed } = await running();
  await settle(t.db, [
    ended(claimed, { action: 'finish', status: 'failed', charge: 'failure' }, 'failed', { error: 'exit code 1' }),
  ]);
  return id;
}

describe('cancel', () => {
  test('ends a pending issue at once', async () => {
    const id = await pending();
    expect(await cancel(t.db, id)).toEqual({ state: 'cancelled' });
    expect(await stored(t.sql, id)).toMatchObject({ status: 'cancelled', completed_at: expect.any(Date) });
    expect(await claimAs(t.db, worker)).toEqual([]);
  });

  test('marks a running one, tells its worker so by a notification, and leaves the rest to it', async () => {
    const { id, claimed } = await running();
    const heard: string[] = [];
    await t.sql.listen('cape_issues', (payload) => heard.push(payload));
    expect(await cancel(t.db, id, 'no longer needed')).toEqual({ state: 'ending', worker: 'alleycat-1' });
    await until(() => heard.includes('cancel'), { what: 'the notification' });
    expect(await stored(t.sql, id)).toMatchObject({ status: 'started' });
    expect(await renewed(t.db, worker, [claimed])).toEqual({ [id]: 'no longer needed' });
    await settle(t.db, [requeued(claimed)]);
    expect(await stored(t.sql, id)).toMatchObject({ status: 'cancelled' });
  });

  test('a command that had succeeded before the signal reached it has completed', async () => {
    const { id, claimed } = await running();
    await cancel(t.db, id);
    await settle(t.db, [done(claimed)]);
    expect(await stored(t.sql, id)).toMatchObject({ status: 'completed' });
  });

  test('a worker that crashes with a cancelled issue leaves it cancelled, not pending', async () => {
    const doomed = await actor(t.db);
    const id = await pending();
    await claimAs(t.db, doomed);
    await cancel(t.db, id);
    await releaseDead(t.db, doomed.instance);
    expect(await stored(t.sql, id)).toMatchObject({ status: 'cancelled', leased: false });
  });

  test('an issue that is claimed while cancel waits for its lock is marked, never missed', async () => {
    for (let round = 0; round < 30; round++) {
      const id = await pending();
      const [claims, state] = await Promise.all([claimAs(t.db, worker), cancel(t.db, id)]);
      const { status } = await stored(t.sql, id);
      if (claims.length === 0) expect([status, state.state]).toEqual(['cancelled', 'cancelled']);
      else expect(await renewed(t.db, worker, claims)).toEqual({ [id]: 'cancelled' });
      await settle(
        t.db,
        claims.map((claimed) => requeued(claimed)),
      );
      expect((await stored(t.sql, id)).status).toBe('cancelled');
    }
  });

  test('one that an older system runs, which no worker of ours would end, is cancelled in the table', async () => {
    const id = await pending();
    await t.sql`update cape_issues set status = 'started' where id = ${id}`;
    expect(await cancel(t.db, id)).toEqual({ state: 'cancelled' });
    expect(await stored(t.sql, id)).toMatchObject({ status: 'cancelled', leased: false });
  });

  test('one that has ended is refused, and so is one that does not exist', async () => {
    const id = await failed();
    await expect(cancel(t.db, id)).rejects.toThrow(`issue ${id}: is failed already`);
    await expect(cancel(t.db, 999_999)).rejects.toMatchObject({
      kind: 'refused',
      message: /issue 999999: there is none/,
    });
  });
});

describe('retry', () => {
  test('runs an ended issue again with fresh counts and a new generation', async () => {
    const id = await failed();
    expect(await retry(t.db, id)).toBe('again');
    expect(await stored(t.sql, id)).toMatchObject({
      status: 'pending',
      failures: 0,
      generation: 1,
      attempt: 1,
      started_at: null,
      completed_at: null,
      assigned_worker_id: null,
      last_error: null,
    });
    expect((await claimAs(t.db, worker))[0]).toMatchObject({ attempt: 2, issue: { id, generation: 1 } });
  });

  test('keeps the direction that an issue had', async () => {
    const id = await pending();
    await assign(t.db, id, worker.id);
    const [claimed] = await claimAs(t.db, worker);
    await settle(t.db, [done(claimed!)]);
    await retry(t.db, id);
    expect(await stored(t.sql, id)).toMatchObject({ assigned_worker_id: worker.id, status: 'pending' });
  });

  test('lets a parked issue run now, and says of one that waits for nothing that there is nothing to do', async () => {
    const { id, claimed } = await running();
    await settle(t.db, [requeued(claimed, 3_600_000, 'failure')]);
    expect(await claimAs(t.db, worker)).toEqual([]);
    expect(await retry(t.db, id)).toBe('now');
    expect(await retry(t.db, id)).toBe('waiting');
    expect(await stored(t.sql, id)).toMatchObject({ failures: 1, generation: 0 });
    expect(await claimAs(t.db, worker)).toHaveLength(1);
  });

  test('is refused while it runs, and where another unfinished issue has its key', async () => {
    const { id } = await running();
    await expect(retry(t.db, id)).rejects.toMatchObject({ kind: 'refused', message: /is running; cancel it first/ });
    const [old] = await t.sql`insert into cape_issues (description, key, status, completed_at)
      values ('old', 'nightly', 'failed', now()) returning id`;
    await t.sql`insert into cape_issues (description, key) values ('new', 'nightly')`;
    await expect(retry(t.db, old?.id)).rejects.toMatchObject({ kind: 'refused', message: /another unfinished issue/ });
  });

  test('of one cancelled by hand whose command is still being ended waits for that end', async () => {
    const { id, claimed } = await running();
    await t.sql`update cape_issues set status = 'cancelled' where id = ${id}`;
    expect(await retry(t.db, id)).toBe('again');
    expect(await claimAs(t.db, worker)).toEqual([]);
    await settle(t.db, [ended(claimed, { action: 'finish', status: 'cancelled', charge: 'none' }, 'cancelled')]);
    expect(await stored(t.sql, id)).toMatchObject({ status: 'pending', leased: false });
    expect(await claimAs(t.db, worker)).toHaveLength(1);
  });
});

describe('assign', () => {
  test('directs a pending issue, and lets anyone take it again', async () => {
    const other = await actor(t.db);
    const id = await pending();
    await assign(t.db, id, other.id);
    expect(await claimAs(t.db, worker)).toEqual([]);
    await assign(t.db, id, null);
    expect(await claimAs(t.db, worker)).toHaveLength(1);
  });

  test('is refused for what is not pending', async () => {
    const { id } = await running();
    await expect(assign(t.db, id, 'w-1')).rejects.toThrow(`issue ${id}: is started; only pending issues`);
  });
});

describe('delete', () => {
  test('removes an ended issue and its attempts', async () => {
    const id = await failed();
    await remove(t.db, id);
    expect(await t.sql`select id from cape_issues where id = ${id}`).toHaveLength(0);
    expect(await t.sql`select 1 from cape_attempts where issue_id = ${id}`).toHaveLength(0);
  });

  test('is refused while it runs, also where its row says otherwise by hand', async () => {
    const { id } = await running();
    await expect(remove(t.db, id)).rejects.toThrow(`issue ${id}: is running`);
    await t.sql`update cape_issues set status = 'failed' where id = ${id}`;
    await expect(remove(t.db, id)).rejects.toThrow('still being ended');
  });
});

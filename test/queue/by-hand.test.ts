/** What other programs and people write into the table. */
import postgres from 'postgres';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { expired, rescue } from '../../src/queue/rescue.js';
import { settle } from '../../src/queue/settle.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { type Actor, actor, claimAs, done, insert, renewed, requeued, stored } from './actors.js';

let t: TestDatabase;
let worker: Actor;

beforeAll(async () => {
  t = await createTestDatabase();
  worker = await actor(t.db, 'alleycat-1');
});

afterEach(async () => {
  await t.sql`delete from cape_issues`;
});

async function running() {
  const [id] = (await insert(t.sql, 'Fix the login bug')) as [number];
  const [claimed] = await claimAs(t.db, worker);
  return { id, claimed: claimed! };
}

describe('a running issue', () => {
  test('that is set to pending by hand is ended first and claimable only then', async () => {
    const { id, claimed } = await running();
    await t.sql`update cape_issues set status = 'pending' where id = ${id}`;
    expect(await stored(t.sql, id)).toMatchObject({
      status: 'pending',
      started_at: null,
      assigned_worker_id: null,
      leased: true,
    });
    expect(await claimAs(t.db, worker)).toEqual([]);
    expect(await renewed(t.db, worker, [claimed])).toEqual({ [id]: 'set to pending by hand' });
    expect(await settle(t.db, [requeued(claimed, 60_000)])).toEqual([{ id, status: 'pending' }]);
    expect((await claimAs(t.db, worker))[0]).toMatchObject({ attempt: 2, issue: { id } });
  });

  test('stays unclaimable also where somebody edits our own mark of it', async () => {
    const { id, claimed } = await running();
    await t.sql`update cape_issues set leased = false where id = ${id}`;
    await t.sql`update cape_issues set status = 'pending' where id = ${id}`;
    expect(await claimAs(t.db, worker)).toEqual([]);
    await settle(t.db, [requeued(claimed)]);
    expect(await claimAs(t.db, worker)).toHaveLength(1);
  });

  test('is ended also where the same statement edits our mark of it', async () => {
    for (const status of ['pending', 'cancelled']) {
      const { id, claimed } = await running();
      await t.sql`update cape_issues set status = ${status}, leased = false where id = ${id}`;
      expect(await stored(t.sql, id)).toMatchObject({ status, leased: true });
      expect(await renewed(t.db, worker, [claimed])).toEqual({ [id]: `set to ${status} by hand` });
      await t.sql`delete from cape_issues`;
    }
  });

  test('that is completed by hand keeps that, whatever its attempt comes to', async () => {
    for (const completed_at of ['now()', 'null']) {
      const { id, claimed } = await running();
      await t.sql.unsafe(
        `update cape_issues set status = 'completed', completed_at = ${completed_at} where id = ${id}`,
      );
      expect(await renewed(t.db, worker, [claimed])).toEqual({ [id]: 'set to completed by hand' });
      expect(await settle(t.db, [requeued(claimed, 0, 'failure')])).toEqual([{ id, status: 'completed' }]);
      expect(await stored(t.sql, id)).toMatchObject({
        status: 'completed',
        completed_at: expect.any(Date),
        leased: false,
      });
    }
  });

  test('that is completed by hand and whose worker crashes stays completed', async () => {
    const { id } = await running();
    await t.sql`update cape_issues set status = 'completed' where id = ${id}`;
    await t.sql`update cape_leases set lease_until = now() - interval '1 second'`;
    expect(await rescue(t.db, await expired(t.db))).toMatchObject([{ id, status: 'completed' }]);
  });

  test('that is deleted, or truncated away, is lost to its holder', async () => {
    const deleted = await running();
    await t.sql`delete from cape_issues where id = ${deleted.id}`;
    expect(await renewed(t.db, worker, [deleted.claimed])).toEqual({ [deleted.id]: 'lost' });
    expect(await settle(t.db, [done(deleted.claimed)])).toEqual([{ id: deleted.id, status: 'lost' }]);

    const truncated = await running();
    await t.sql`truncate cape_issues restart identity`;
    expect(await settle(t.db, [done(truncated.claimed)])).toEqual([{ id: truncated.id, status: 'lost' }]);
    const again = await running();
    expect(again.id).toBe(1);
    expect(await settle(t.db, [done(again.claimed)])).toEqual([{ id: 1, status: 'completed' }]);
  });

  test.each([
    'truncate cape_issues, cape_attempts',
    'truncate cape_attempts, cape_leases, cape_issues restart identity',
  ])('is lost to its holder after: %s', async (statement) => {
    const { id, claimed } = await running();
    await t.sql.unsafe(statement);
    expect(await settle(t.db, [done(claimed)])).toEqual([{ id, status: 'lost' }]);
    expect(await t.sql`select from cape_attempts`).toHaveLength(0);
  });

  test('that was directed and is set to pending by hand stays directed, unless the same statement says otherwise', async () => {
    const directed = async () => {
      const [row] = await t.sql`
        insert into cape_issues (description, assigned_worker_id) values ('mine', 'alleycat-1') returning id`;
      await settle(
        t.db,
        (await claimAs(t.db, worker)).map((claim) => done(claim)),
      );
      return row?.id as number;
    };
    const [kept, moved] = [await directed(), await directed()];
    await t.sql`update cape_issues set status = 'pending' where id = ${kept}`;
    expect(await stored(t.sql, kept)).toMatchObject({
      assigned_worker_id: 'alleycat-1',
      completed_at: null,
      started_at: null,
    });
    await t.sql`update cape_issues set status = 'pending', assigned_worker_id = 'xhundred-1' where id = ${moved}`;
    expect(await stored(t.sql, moved)).toMatchObject({ assigned_worker_id: 'xhundred-1' });
  });
});

describe("'started' written by somebody else", () => {
  test('gets an hour and is then rescued; ended by its writer, it leaves history at once', async () => {
    await t.sql`insert into cape_issues (id, description) values (7001, 'old worker dies'), (7002, 'old worker ends')`;
    await t.sql`update cape_issues set status = 'started', assigned_worker_id = 'legacy-1', started_at = now() where id in (7001, 7002)`;
    expect(
      await t.sql`
      select worker_id, instance, lease_until - started_at = '1 hour' as an_hour from cape_leases order by issue_id`,
    ).toEqual([
      { worker_id: 'legacy-1', instance: null, an_hour: true },
      { worker_id: 'legacy-1', instance: null, an_hour: true },
    ]);
    await t.sql`update cape_issues set status = 'completed', completed_at = now() where id = 7002`;
    expect(await stored(t.sql, 7002)).toMatchObject({ status: 'completed', leased: false });
    expect(await t.sql`select issue_id, outcome from cape_attempts`).toEqual([
      { issue_id: 7002, outcome: 'interrupted' },
    ]);
    await t.sql`update cape_leases set lease_until = now() - interval '1 second'`;
    expect(await rescue(t.db, await expired(t.db))).toMatchObject([
      { id: 7001, worker_id: 'legacy-1', status: 'pending' },
    ]);
    expect(await claimAs(t.db, worker)).toHaveLength(1);
  });

  test('also where it is inserted so', async () => {
    await t.sql`insert into cape_issues (id, description, status) values (7003, 'imported', 'started')`;
    expect(await stored(t.sql, 7003)).toMatchObject({ leased: true, attempt: 1, started_at: expect.any(Date) });
    expect(await t.sql`select worker_id from cape_leases`).toEqual([{ worker_id: 'unknown' }]);
  });
});

describe('inserts', () => {
  test('work for a client with INSERT on this table alone, and wake', async () => {
    const role = `cape_inserter_${process.pid}`;
    await t.sql.unsafe(`create role ${role} login password 'secret'; grant insert on cape_issues to ${role}`);
    await t.sql`update cape_workers set waiting_until = now() + interval '1 minute' where id = ${worker.id}`;
    const heard: string[] = [];
    const { unlisten } = await t.sql.listen('cape_issues', (payload) => heard.push(payload));
    const url = new URL(t.url);
    url.username = role;
    url.password = 'secret';
    const client = postgres(url.href, { max: 1 });
    try {
      await client`insert into cape_issues (description) values ('from outside')`;
      await expect(client`select * from cape_issues`).rejects.toThrow(/permission denied/);
      await expect.poll(() => heard).toEqual(['']);
      expect(await claimAs(t.db, worker)).toHaveLength(1);
    } finally {
      await client.end();
      await unlisten();
      await t.sql.unsafe(`drop owned by ${role}; drop role ${role}`);
    }
  });

  test('explicit NULLs get the defaults, unknown statuses are refused', async () => {
    await t.sql`
      insert into cape_issues (id, description, status, priority, created_at, updated_at) values (7010, 'nulls', null, null, null, null)`;
    expect(await claimAs(t.db, worker)).toMatchObject([{ issue: { id: 7010, priority: 0 } }]);
    await expect(t.sql`insert into cape_issues (description, status) values ('odd', 'doing')`).rejects.toThrow(
      /status_check/,
    );
  });
});

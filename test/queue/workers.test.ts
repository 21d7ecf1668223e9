import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import postgres from 'postgres';
import { beforeAll, describe, expect, test } from 'vitest';
import { beat } from '../../src/queue/lease.js';
import { settle } from '../../src/queue/settle.js';
import { clearWaiting, markWaiting, writersOlderThan } from '../../src/queue/waiting.js';
import { deregister, listWorkers, markDead, neighbours, register, setHelpers } from '../../src/queue/workers.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { until } from '../support/until.js';
import { actor, claimAs, done, insert, registration, requeued } from './actors.js';

let t: TestDatabase;

beforeAll(async () => {
  t = await createTestDatabase();
});

const age = (id: string) => t.sql`update cape_workers set heartbeat_at = now() - interval '1 minute' where id = ${id}`;

describe('register', () => {
  test('of several newcomers with one id exactly one gets it', async () => {
    for (let round = 0; round < 25; round += 1) {
      if (round % 2) await age('contested');
      else await t.sql`delete from cape_workers where id = 'contested'`;
      const answers = await Promise.all([1, 2, 3].map(() => register(t.db, registration('contested'))));
      expect(answers.map(({ state }) => state).sort()).toEqual(['registered', 'taken', 'taken']);
    }
  });

  test('refuses while the holder lives and names it; takes over from a silent, a stopped and a dead one', async () => {
    const first = registration('alleycat-1');
    expect(await register(t.db, first)).toEqual({ state: 'registered', previous: null });
    const second = registration('alleycat-1');
    expect(await register(t.db, second)).toMatchObject({
      state: 'taken',
      holder: { instance: first.instance, host: 'test-host', pid: process.pid, started_at: expect.any(Date) },
    });
    await age('alleycat-1');
    await setHelpers(t.db, first.instance, { token: 'k' });
    expect(await register(t.db, second)).toMatchObject({
      state: 'registered',
      previous: { instance: first.instance, helpers: { token: 'k' }, started_at: expect.any(Date) },
    });
    const tick = { instance: first.instance, waiting: false, leases: [], leaseSeconds: 300 };
    expect((await beat(t.db, tick)).registered).toBe(false);

    await deregister(t.db, second.instance);
    const third = registration('alleycat-1');
    expect(await register(t.db, third)).toMatchObject({
      state: 'registered',
      previous: { stopped_at: expect.any(Date) },
    });
    const fourth = registration('alleycat-1');
    expect(await register(t.db, fourth, second.instance)).toMatchObject({ state: 'taken' });
    expect(await register(t.db, fourth, third.instance)).toMatchObject({ state: 'registered' });
    const [row] = (await listWorkers(t.db)).filter(({ id }) => id === 'alleycat-1');
    expect(row).toMatchObject({ instance: fourth.instance, helpers: null, stopped_at: null, paused: false });
    expect(row?.silent_ms).toBeLessThan(5000);
  });

  test('the helpers are noted without a wait for a row that somebody has locked, and that is told', async () => {
    const worker = registration('guarded');
    await register(t.db, worker);
    await t.sql.begin(async (tx) => {
      await tx`select from cape_workers where id = 'guarded' for update`;
      expect(await setHelpers(t.db, worker.instance, { token: 'k' })).toBe(false);
    });
    expect(await setHelpers(t.db, worker.instance, { token: 'k' })).toBe(true);
    expect(await setHelpers(t.db, randomUUID(), { token: 'k' }), 'a row that is not ours any more').toBe(true);
    expect(await t.sql`select helpers from cape_workers where id = 'guarded'`).toEqual([{ helpers: { token: 'k' } }]);
  });

  test('neighbours are the others of the same machine that have not left', async () => {
    const [a, b, c] = [registration('n-1'), registration('n-2'), { ...registration('n-3'), machine: 'machine-2' }];
    for (const one of [a, b, c])
      await register(t.db, { ...one!, machine: one!.machine === 'machine-2' ? 'machine-2' : 'machine-9' });
    expect((await neighbours(t.db, 'machine-9', a!.instance)).map(({ id }) => id)).toEqual(['n-2']);
    await markDead(t.db, b!.instance);
    expect(await neighbours(t.db, 'machine-9', a!.instance)).toEqual([]);
  });
});

describe('waking', () => {
  /** Notifications heard so far. */
  async function listener() {
    const heard: string[] = [];
    const sql = postgres(t.url, { max: 1, onnotice: () => {} });
    await sql.listen('cape_issues', (payload) => heard.push(payload));
    return {
      heard,
      /** All that was sent before this, proven by one more. */
      async settled() {
        const proof = randomUUID();
        await t.sql.notify('cape_issues', proof);
        await until(() => heard.includes(proof));
        return heard.splice(0).filter((payload) => payload !== proof);
      },
      close: () => sql.end(),
    };
  }

  test('an insert notifies while somebody waits, and only then', async () => {
    const worker = await actor(t.db);
    const ear = await listener();
    await insert(t.sql, 'silent');
    expect(await ear.settled()).toEqual([]);
    await markWaiting(t.db, worker.instance);
    await insert(t.sql, 'heard', 'in the same statement');
    expect(await ear.settled()).toEqual(['']);
    await clearWaiting(t.db, worker.instance);
    await insert(t.sql, 'silent again');
    expect(await ear.settled()).toEqual([]);
    await markWaiting(t.db, worker.instance);
    await t.sql`update cape_workers set waiting_until = now() - interval '1 second'`;
    await insert(t.sql, 'the mark has expired');
    expect(await ear.settled()).toEqual([]);
    await ear.close();
  });

  test('outside read committed an insert always notifies: its snapshot may be older than a mark', async () => {
    const ear = await listener();
    await t.sql.begin(
      'isolation level repeatable read',
      (tx) => tx`insert into cape_issues (description) values ('heard')`,
    );
    expect(await ear.settled()).toEqual(['']);
    await ear.close();
  });

  test('rows that become claimable by an update wake; claims, settles and other edits do not', async () => {
    const worker = await actor(t.db);
    await markWaiting(t.db, worker.instance);
    await t.sql`delete from cape_issues`;
    const [id] = (await insert(t.sql, 'one')) as [number];
    const ear = await listener();
    const [claimed] = await claimAs(t.db, worker);
    await t.sql`update cape_issues set description = 'edited' where id = ${id}`;
    await settle(t.db, [requeued(claimed!, 60_000)]);
    expect(await ear.settled()).toEqual([]);
    for (const change of [`run_at = null`, `assigned_worker_id = 'xhundred-1'`, `assigned_worker_id = null`]) {
      await t.sql.unsafe(`update cape_issues set ${change} where id = ${id}`);
      expect(await ear.settled(), change).toEqual(['']);
    }
    const [again] = await claimAs(t.db, worker);
    await settle(t.db, [requeued(again!)]);
    expect(await ear.settled(), 'released').toEqual(['']);
    await settle(
      t.db,
      (await claimAs(t.db, worker)).map((claim) => done(claim)),
    );
    expect(await ear.settled(), 'completed').toEqual([]);
    await t.sql`update cape_issues set status = 'pending' where id = ${id}`;
    expect(await ear.settled(), 'by hand').toEqual(['']);
    await ear.close();
  });

  test('an inserter that saw no mark and commits late is found: the writers older than the mark are waited for', async () => {
    const worker = await actor(t.db);
    await t.sql`update cape_workers set waiting_until = null`;
    await t.sql`delete from cape_issues`;
    const ear = await listener();
    let commit = () => {};
    const mayCommit = new Promise<void>((resolve) => {
      commit = resolve;
    });
    let inserted = () => {};
    const hasInserted = new Promise<void>((resolve) => {
      inserted = resolve;
    });
    const inserter = t.sql.begin(async (tx) => {
      await tx`insert into cape_issues (description) values ('in silence')`;
      inserted();
      await mayCommit;
    });
    await hasInserted;
    const horizon = await markWaiting(t.db, worker.instance);
    expect(await claimAs(t.db, worker)).toEqual([]);
    expect(await writersOlderThan(t.db, horizon)).toBe(true);
    await pause(100);
    expect(await writersOlderThan(t.db, horizon)).toBe(true);
    commit();
    await inserter;
    await until(async () => !(await writersOlderThan(t.db, horizon)), { what: 'the old writer has ended' });
    expect(await claimAs(t.db, worker)).toHaveLength(1);
    expect(await ear.settled()).toEqual([]);
    await ear.close();
  });

  test('an inserter that began while the mark was being written is waited for too', async () => {
    const worker = await actor(t.db);
    await t.sql`update cape_workers set waiting_until = null`;
    let marked = Promise.resolve('');
    await t.sql.begin(async (inserter) => {
      await t.sql.begin(async (holder) => {
        await holder`select from cape_workers where id = ${worker.id} for update`;
        marked = markWaiting(t.db, worker.instance);
        await until(
          async () =>
            (
              await t.sql`select from pg_stat_activity where datname = current_database() and wait_event = 'transactionid'`
            ).length,
        );
        await inserter`insert into cape_issues (description) values ('in silence')`;
      });
      expect(await writersOlderThan(t.db, await marked)).toBe(true);
    });
    await until(async () => !(await writersOlderThan(t.db, await marked)));
  });
});

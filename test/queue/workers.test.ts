import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import { beat } from '../../src/queue/lease.js';
import { deregister, listWorkers, markDead, neighbours, register, setHelpers } from '../../src/queue/workers.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { registration } from './actors.js';

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

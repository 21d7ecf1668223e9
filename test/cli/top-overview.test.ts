/** How `top` reads: little, and no more often than it is cheap. */
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { OverviewReader } from '../../src/cli/top-overview.js';
import { Paced } from '../../src/cli/top-paced.js';
import { type CapeClient, createClient } from '../../src/client.js';
import { settle } from '../../src/queue/settle.js';
import { actor, claimAs, done, insert } from '../queue/actors.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { until } from '../support/until.js';

describe('a question', () => {
  test('is asked the less often the dearer it is: for a twentieth of the time', async () => {
    let now = 0;
    let asked = 0;
    const paced = new Paced<number>();
    const ask = async () => {
      now += 200;
      return ++asked;
    };
    const read = (key = '') => paced.read(key, ask, () => now);
    expect(await read()).toBe(1);
    now = 3999;
    expect(await read()).toBe(1);
    now = 4000;
    expect(await read()).toBe(2);
    // Another question, and one after a change, are asked at once.
    expect(await read('other')).toBe(3);
    paced.renew();
    expect(await read('other')).toBe(4);
  });

  test('that failed is asked again the next time', async () => {
    const paced = new Paced<number>();
    await expect(paced.read('', () => Promise.reject(new Error('away')))).rejects.toThrow('away');
    expect(await paced.read('', async () => 7)).toBe(7);
  });
});

describe('the overview', () => {
  let t: TestDatabase;
  let client: CapeClient;
  const clients: CapeClient[] = [];
  beforeEach(async () => {
    t = await createTestDatabase();
    client = createClient({ databaseUrl: t.url });
    clients.push(client);
  });
  afterAll(() => Promise.all(clients.map((one) => one.close())));

  test('reads no more of each kind than there is room for', async () => {
    await t.sql`insert into cape_issues (description) select 'x' from generate_series(1, 100)`;
    const worker = await actor(t.db);
    await claimAs(t.db, worker, { limit: 10 });
    const { pending, running, stats } = await new OverviewReader(client).read({}, 5);
    expect([pending.length, running.length, stats.pending, stats.started]).toEqual([5, 5, 90, 10]);
  });

  test('shows the end of an old issue that was seen running, though newer ones fill the list', async () => {
    const worker = await actor(t.db);
    const [old] = (await insert(t.sql, 'ran for hours')) as [number];
    const [claimed] = await claimAs(t.db, worker);
    await t.sql`insert into cape_issues (description, status, completed_at)
      select 'newer', 'completed', now() - interval '1 hour' from generate_series(1, 20)`;
    const reader = new OverviewReader(client);
    const ended = async () => {
      reader.renew();
      return (await reader.read({}, 5)).ended.map(({ id }) => id);
    };
    expect(await ended()).not.toContain(old);
    await settle(t.db, [done(claimed!)]);
    expect((await ended())[0]).toBe(old);
    expect((await ended())[0]).toBe(old);
    // Once it runs again, or is gone, it has not ended any more.
    await client.retry(old);
    await until(async () => !(await ended()).includes(old));
    await claimAs(t.db, worker);
    await ended();
    await t.sql`delete from cape_issues where id = ${old}`;
    expect(await ended()).not.toContain(old);
  });

  test('takes the conditions of a filter', async () => {
    const worker = await actor(t.db);
    await insert(t.sql, 'Fix the LOGIN');
    await claimAs(t.db, worker);
    const [other] = (await insert(t.sql, 'login again', 'parser')) as [number, number];
    const reader = new OverviewReader(client);
    const ids = async (filter: Parameters<OverviewReader['read']>[0]) => {
      const { running, pending, ended } = await reader.read(filter, 10);
      return [running, pending, ended].map((issues) => issues.length);
    };
    expect(await ids({ search: 'login' })).toEqual([1, 1, 0]);
    expect(await ids({ search: 'login', status: ['pending'] })).toEqual([0, 1, 0]);
    expect(await ids({ worker: worker.id })).toEqual([1, 0, 0]);
    expect(await ids({ id: other })).toEqual([0, 1, 0]);
    expect(await ids({ id: 999_999 })).toEqual([0, 0, 0]);
    expect(await ids({})).toEqual([1, 2, 0]);
  });

  test('knows the clock of the database by its workers', async () => {
    const worker = await actor(t.db);
    const { clockOffset, workers } = await new OverviewReader(client).read({}, 5);
    expect(workers.map(({ id }) => id)).toEqual([worker.id]);
    expect(Math.abs(clockOffset)).toBeLessThan(5_000);
  });
});

/** What a worker with a handler claims before it has a slot for it: how much, and what becomes of it. */
import { beforeEach, describe, expect, test } from 'vitest';
import { createClient } from '../../src/client.js';
import { createTestDatabase } from '../support/database.js';
import { issuesOf } from '../support/issues.js';
import { until } from '../support/until.js';
import { startWorker } from '../support/worker.js';

const { url: databaseUrl, sql } = await createTestDatabase();
const { add, issue, attempts, ended, clear } = issuesOf(sql);

beforeEach(clear);

const addMany = (count: number, description: string) =>
  sql`insert into cape_issues (description) select ${description} from generate_series(1, ${count})`;
const withStatus = async (status: string) => (await sql`select from cape_issues where status = ${status}`).length;
const held = async () => (await sql`select from cape_leases`).length;
const pause = (ms: number) => new Promise((done) => setTimeout(done, ms));

/** Two slots busy with issues that do not end before `finish`, and twenty claimed ahead behind them. */
async function stuckBehindTwo(settings: Partial<Parameters<typeof startWorker>[0]> = {}) {
  await addMany(300, 'quick');
  await addMany(2, 'long');
  await addMany(20, 'behind');
  const begun: number[] = [];
  let finish = () => {};
  const finished = new Promise<void>((done) => (finish = done));
  const handler = (one: { id: number; description: string }) => {
    begun.push(one.id);
    return one.description === 'long' ? finished : undefined;
  };
  const worker = startWorker({ databaseUrl, concurrency: 2, handler, ...settings });
  await until(async () => (await withStatus('completed')) === 300, { what: 'the quick ones to be completed' });
  return { ...worker, begun, finish };
}

describe('how much is claimed ahead', () => {
  test('is about what slow handlers work off in a second', async () => {
    await addMany(120, 'slow');
    const { stop } = startWorker({ databaseUrl, concurrency: 2, handler: () => pause(50) });
    let most = 0;
    await until(async () => {
      most = Math.max(most, await held());
      return (await withStatus('pending')) === 0;
    });
    await stop();
    // Two slots do forty a second. Those that end while a statement is under way still have their lease.
    expect(most).toBeGreaterThan(4);
    expect(most).toBeLessThanOrEqual(2 + 40 + 10);
  });

  test('is nothing where handlers take longer than that', async () => {
    await addMany(40, 'slower');
    const begun = new Map<number, number>();
    const handler = ({ id }: { id: number }) => {
      begun.set(id, Date.now());
      return pause(1100);
    };
    startWorker({ databaseUrl, concurrency: 2, handler });
    await until(async () => (await withStatus('completed')) >= 4);
    const claimed = await sql<{ issue_id: number; ms: number }[]>`
      select issue_id, extract(epoch from started_at)::float8 * 1000 as ms from cape_attempts`;
    // Claimed ahead it would have waited for the end of another.
    for (const { issue_id, ms } of claimed) expect(begun.get(issue_id)! - ms).toBeLessThan(900);
  });

  test('goes back uncharged where handlers that were quick get stuck, and others may take it', async () => {
    const { begun, finish, stop } = await stuckBehindTwo();
    await until(async () => (await withStatus('pending')) === 20 && (await held()) === 2);
    const rows = await sql`select distinct status, failures, crashes from cape_issues where description = 'behind'`;
    expect(rows).toEqual([{ status: 'pending', failures: 0, crashes: 0 }]);
    expect(begun).toHaveLength(302);
    finish();
    await until(async () => (await withStatus('completed')) === 322);
    await stop();
  });

  test('is nothing with claimAhead: 0', async () => {
    await addMany(300, 'quick');
    let most = 0;
    let running = 0;
    const handler = async () => {
      running += 1;
      if (running === 1) most = Math.max(most, await held());
      running -= 1;
    };
    await startWorker({ databaseUrl, concurrency: 3, claimAhead: 0, drain: true, handler }).done;
    expect(await withStatus('completed')).toBe(300);
    // Three that run, and those that have ended and are not written yet: four times as many, and what was claimed then.
    expect(most).toBeLessThanOrEqual(3 + 12 + 3);
  });

  test.each([-1, 1.5, 10_001, Number.NaN])('is refused as %d', (claimAhead) => {
    expect(() => startWorker({ databaseUrl, handler: () => {}, claimAhead })).toThrow(/claimAhead: got .*0 to 10000/);
  });

  test('is refused with a command', () => {
    expect(() => startWorker({ databaseUrl, claimAhead: 5 })).toThrow(/claimAhead: got 5 without a handler/);
  });
});

describe('what is claimed ahead', () => {
  test('never begins once it is cancelled', async () => {
    const { begun, finish, stop } = await stuckBehindTwo();
    const [row] = await sql`select id from cape_issues where description = 'behind' order by id desc limit 1`;
    const client = createClient({ databaseUrl });
    await client.cancel(row!.id);
    await client.close();
    expect(await ended(row!.id)).toMatchObject({ status: 'cancelled', failures: 0 });
    finish();
    await until(async () => (await withStatus('completed')) === 321);
    await stop();
    expect(begun).not.toContain(row!.id);
  });

  test('goes back at once, uncharged, when the worker is told to stop; what runs may end', async () => {
    const { begun, finish, worker, done } = await stuckBehindTwo();
    worker.stop();
    await until(async () => (await withStatus('pending')) === 20 && (await held()) === 2);
    expect(await sql`select distinct failures, crashes from cape_issues`).toEqual([{ failures: 0, crashes: 0 }]);
    finish();
    await done;
    expect(await withStatus('completed')).toBe(302);
    expect(begun).toHaveLength(302);
    expect(await held()).toBe(0);
  });

  test('has its time limit counted from its start', async () => {
    await addMany(50, 'quick');
    await addMany(3, 'long');
    const handler = ({ description }: { description: string }) => (description === 'long' ? pause(600) : undefined);
    await startWorker({ databaseUrl, concurrency: 1, timeout: '1s', maxAttempts: 1, drain: true, handler }).done;
    expect(await withStatus('completed')).toBe(53);
  });

  test('holds a more urgent issue up for a second, not for the whole queue', async () => {
    await addMany(400, 'usual');
    const order: string[] = [];
    const handler = async ({ description }: { description: string }) => {
      order.push(description);
      await pause(10);
    };
    const { stop } = startWorker({ databaseUrl, concurrency: 1, handler });
    await until(() => order.length > 50);
    const before = order.length;
    const urgent = await add('urgent', { priority: 9 });
    await ended(urgent);
    await stop();
    // A slot does a hundred a second at most; claims behind a hint look at the head again every 2 s.
    expect(order.indexOf('urgent') - before).toBeLessThan(320);
    expect((await issue(urgent)).status).toBe('completed');
  });

  test('is worked off by a worker that somebody pauses, and no more is claimed', async () => {
    await addMany(3000, 'usual');
    startWorker({ databaseUrl, concurrency: 2, handler: () => pause(4) });
    await until(async () => (await withStatus('completed')) > 50);
    await sql`insert into cape_pauses (worker_id) values ('*')`;
    await until(async () => (await held()) === 0);
    const left = await withStatus('pending');
    expect(left).toBeGreaterThan(0);
    await pause(300);
    expect(await withStatus('pending')).toBe(left);
    expect((await sql`select from cape_attempts where outcome <> 'succeeded'`).length).toBe(0);
  });

  test('is none with --once', async () => {
    await addMany(5, 'usual');
    await startWorker({ databaseUrl, once: true, concurrency: 4, handler: () => {} }).done;
    expect([await withStatus('completed'), await withStatus('pending')]).toEqual([1, 4]);
  });

  test('is all worked off before a draining worker leaves, with one attempt each', async () => {
    await addMany(1500, 'usual');
    await startWorker({ databaseUrl, drain: true, concurrency: 5, handler: () => {} }).done;
    expect(await withStatus('completed')).toBe(1500);
    expect(await sql`select from cape_attempts`).toHaveLength(1500);
    const [first] = await sql`select id from cape_issues order by id limit 1`;
    expect(await attempts(first!.id)).toMatchObject([{ attempt: 1, outcome: 'succeeded' }]);
  });
});

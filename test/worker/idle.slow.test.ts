/** What an idle worker costs the database, and that it wakes in time all the same. */
import { setTimeout as pause } from 'node:timers/promises';
import { expect, test, vi } from 'vitest';
import { Session } from '../../src/db/session.js';
import { IssueWorker } from '../../src/worker/issue-worker.js';
import { createTestDatabase } from '../support/database.js';
import { until } from '../support/until.js';

const { url, sql } = await createTestDatabase();

const WINDOW_MS = 30_000;

/** How many groups of times lie at least 100 ms from each other. */
function groups(times: readonly number[]): number {
  return times.filter((time, i) => i === 0 || time - times[i - 1]! > 100).length;
}

test('half a minute of an idle worker is 15 statements in 6 wakes on 3 connections, and a delayed issue begins within a second', async () => {
  const begun = new Map<number, number>();
  const worker = new IssueWorker({
    ...{ databaseUrl: url, workerId: 'idle' },
    handler: async (issue) => {
      begun.set(issue.id, Date.now());
    },
  });
  const done = worker.run();
  try {
    const sessions = () => sql`select from pg_stat_activity where application_name like 'cape-worker idle%'`;
    await until(async () => (await sessions()).length === 3);
    await pause(3000); // the first looks, at growing pauses
    const times: number[] = [];
    const { query } = Session.prototype;
    vi.spyOn(Session.prototype, 'query').mockImplementation(function (this: Session, ...asked) {
      times.push(performance.now());
      return query.apply(this, asked) as never;
    });
    await pause(WINDOW_MS);
    expect(times.length).toBeGreaterThan(5); // or they are asked in another way
    expect(times.length).toBeLessThanOrEqual(15);
    expect(groups(times)).toBeLessThanOrEqual(6);
    expect(await sessions()).toHaveLength(3);

    const [row] = await sql`insert into cape_issues (description, run_at) values ('x', now() + interval '3 s')
      returning id, run_at`;
    await until(() => begun.has(row!.id), { timeoutMs: 20_000, what: 'the delayed issue' });
    const late = begun.get(row!.id)! - row!.run_at.getTime();
    expect(late).toBeGreaterThanOrEqual(0);
    expect(late).toBeLessThan(1000);
  } finally {
    worker.stop();
    await done;
  }
}, 90_000);

/** A worker with nothing to do sleeps, and what comes wakes it in time. */
import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import type { Queryable } from '../../src/db/connect.js';
import { now } from '../../src/execution/clock.js';
import { silent } from '../../src/log.js';
import { Neighbours } from '../../src/worker/neighbours.js';
import { Outage } from '../../src/worker/outage.js';
import { Rescuer } from '../../src/worker/rescuer.js';
import { Stopping } from '../../src/worker/stopping.js';
import { Upkeep } from '../../src/worker/upkeep.js';
import { VerdictDelivery } from '../../src/worker/verdict-delivery.js';
import { WaitingMark } from '../../src/worker/waiting-mark.js';
import { actor } from '../queue/actors.js';
import { createTestDatabase } from '../support/database.js';
import { until } from '../support/until.js';

const { db, sql } = await createTestDatabase();

test('after a short job the mark of an idle worker has nothing to do: a time left over would leave no time to sleep', async () => {
  const mark = new WaitingMark(db, (await actor(db)).instance);
  await until(async () => !(await mark.keep(now().mono)) && mark.nextAt === Number.POSITIVE_INFINITY);
  await mark.clearIfStale(now().mono);
  expect(mark.nextAt).toBeGreaterThan(now().mono);
  await mark.keep(now().mono);
  expect(mark.nextAt).toBe(Number.POSITIVE_INFINITY);
  expect(mark.carried).toBe(true);
});

test('an issue that is parked while promotion is under way is promoted in time', async () => {
  const [row] = await sql`insert into cape_issues (description, run_at) values ('x', 'infinity') returning id`;
  let parked = false;
  const slow: Queryable = {
    async query(text, params) {
      const rows = await db.query(text, params);
      if (!parked && text.includes('nextMs')) {
        parked = true;
        await sql`update cape_issues set run_at = now() + interval '100 ms'`;
        upkeep.promoteIn(100);
      }
      return rows as never;
    },
  };
  const origin = { database: 'this', schema: 'public' };
  const upkeep = new Upkeep({
    db: slow,
    rescuer: new Rescuer(db, 60_000, silent),
    neighbours: new Neighbours(db, null, randomUUID(), new VerdictDelivery(db, origin, silent, () => {}), silent),
    outage: new Outage(silent),
    log: silent,
    logDir: '/nonexistent',
    issueLogDays: 0,
    historyDays: 0,
    intervalMs: 15_000,
    onPromoted: () => {},
  });
  const done = upkeep.run();
  try {
    await until(
      async () => (await sql`select from cape_issues where id = ${row!.id} and run_at is null`).length === 1,
      {
        timeoutMs: 10_000, // without it after 15 s
        what: 'the promotion',
      },
    );
  } finally {
    upkeep.stop();
    await done;
  }
});

test('a worker that was told to stop before it began keeps no process waiting for its drain timeout', () => {
  const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
  const before = timers();
  new Stopping(3_600_000, silent).next();
  expect(timers()).toBe(before);
});

import { expect, test } from 'vitest';
import { createTestDatabase } from '../support/database.js';
import { until } from '../support/until.js';
import { startWorker } from '../support/worker.js';

const { url: databaseUrl, sql } = await createTestDatabase();
const SLOTS = 2;
/** MOST_UNSETTLED of claim-loop.ts, and the slots. */
const MOST = SLOTS + 100;
/** What can have been claimed in addition before it was known how many are refused (MOST_UNWRITTEN of claim-pace.ts). */
const UNDER_WAY = 5 * SLOTS;

test('a database that lets no issue end keeps a worker from claiming on for ever, and loses nothing', async () => {
  await sql.unsafe(`
    create sequence refusals;
    grant usage on refusals to public;
    create function refuse_ends() returns trigger language plpgsql as $$
      begin perform nextval('refusals'); raise 'not today'; end $$;
    create trigger refuse_ends before update on cape_issues
      for each row when (new.status = 'completed') execute function refuse_ends()`);
  const refusals = async () => Number((await sql`select last_value from refusals`)[0]!.last_value);
  const started = async () => (await sql`select count(*)::int as n from cape_leases`)[0]!.n;
  await sql`insert into cape_issues (description) select 'n ' || n from generate_series(1, ${MOST + 100}) n`;
  let calls = 0;
  startWorker({ databaseUrl, concurrency: SLOTS, handler: () => void calls++, pollInterval: '100ms' });
  await until(async () => (await started()) >= MOST, { timeoutMs: 40_000, what: 'as many as may wait' });
  // Each round tries all of them: after two more rounds it would have claimed what is left.
  const before = await refusals();
  await until(async () => (await refusals()) > before + 2 * MOST, { timeoutMs: 40_000, what: 'further tries' });
  expect(await started()).toBeLessThanOrEqual(MOST + UNDER_WAY);
  expect(calls).toBe(await started());
  await sql`drop trigger refuse_ends on cape_issues`;
  await until(async () => (await sql`select from cape_issues where status = 'completed'`).length === MOST + 100);
  expect(calls).toBe(MOST + 100);
});

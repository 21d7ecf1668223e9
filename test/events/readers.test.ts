/** The mark of a process that reads events, and the writers that may not have seen it. */
import { beforeAll, expect, test } from 'vitest';
import { writersOlderThan } from '../../src/db/horizon.js';
import { markReading } from '../../src/events/readers.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { until } from '../support/until.js';

let t: TestDatabase;

beforeAll(async () => {
  t = await createTestDatabase();
});

test('a writer that began while the mark was being written, and may not have seen it, is waited for', async () => {
  // The mark has its number, and stands still before its commit.
  await t.sql.unsafe(`
    create function hold_mark() returns trigger language plpgsql as $$
      begin perform pg_advisory_xact_lock(7); return null; end $$;
    create trigger hold_mark after insert on cape_readers for each row execute function hold_mark()`);
  let marked = Promise.resolve('');
  await t.sql.begin(async (writer) => {
    await t.sql.begin(async (holder) => {
      await holder`select pg_advisory_xact_lock(7)`;
      marked = markReading(t.db, '00000000-0000-4000-8000-000000000001');
      await until(
        async () =>
          (await t.sql`select from pg_stat_activity where datname = current_database() and wait_event = 'advisory'`)
            .length,
      );
      await writer`insert into cape_events (issue_id, seq, kind) values (1, 1, 'by_hand')`;
    });
    expect(await writersOlderThan(t.db, await marked)).toBe(true);
  });
  await until(async () => !(await writersOlderThan(t.db, await marked)));
});

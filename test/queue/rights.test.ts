/** A worker's role needs to read and write the tables; it need not own them. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connect, type Database } from '../../src/db/connect.js';
import { pause, resume } from '../../src/queue/pause.js';
import { promote } from '../../src/queue/promote.js';
import { expired, rescue } from '../../src/queue/rescue.js';
import { settle } from '../../src/queue/settle.js';
import { markWaiting } from '../../src/queue/waiting.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { actor, claimAs, done, insert, renewed, requeued, stored } from './actors.js';

const role = `cape_worker_${process.pid}`;
let t: TestDatabase;
let db: Database;

beforeAll(async () => {
  t = await createTestDatabase();
  await t.sql.unsafe(`
    create role ${role} login password 'secret';
    grant select, insert, update, delete on all tables in schema public to ${role}`);
  const url = new URL(t.url);
  url.username = role;
  url.password = 'secret';
  db = connect({ url: url.href, schema: 'public', applicationName: 'cape-test-role', planner: true });
});

afterAll(async () => {
  await db.close();
  await t.sql.unsafe(`drop owned by ${role}; drop role ${role}`);
});

test('a role with rights on the tables alone can do all that a worker does', async () => {
  const worker = await actor(db);
  const [first, second] = (await insert(t.sql, 'completed', 'crashes')) as [number, number];
  await markWaiting(db, worker.instance);
  const [a, b] = await claimAs(db, worker);
  expect(await renewed(db, worker, [a!, b!])).toEqual({ [first]: 'ok', [second]: 'ok' });
  expect(await settle(db, [done(a!)])).toEqual([{ id: first, status: 'completed' }]);
  await t.sql`update cape_leases set lease_until = now() - interval '1 second'`;
  expect(await rescue(db, await expired(db))).toMatchObject([{ id: second, status: 'pending' }]);
  const [again] = await claimAs(db, worker);
  await settle(db, [requeued(again!, 1)]);
  await t.sql`update cape_issues set run_at = now() where id = ${second}`;
  expect((await promote(db, 10)).promoted).toBe(1);
  await pause(db, null);
  expect(await claimAs(db, worker)).toEqual([]);
  await resume(db, null);
  await db.query(`update cape_issues set status = 'cancelled' where id = $1`, [second]);
  expect(await stored(t.sql, second)).toMatchObject({ status: 'cancelled', completed_at: expect.any(Date) });
  await db.query('delete from cape_issues where id = $1', [second]);
});

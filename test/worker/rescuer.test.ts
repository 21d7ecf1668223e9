import { beforeEach, expect, test } from 'vitest';
import { type Log, silent } from '../../src/log.js';
import { Rescuer } from '../../src/worker/rescuer.js';
import { actor, claimAs, insert, stored } from '../queue/actors.js';
import { createTestDatabase } from '../support/database.js';
import { until } from '../support/until.js';

const { db, sql } = await createTestDatabase();
const WAIT_MS = 2000;

beforeEach(() => sql`truncate cape_issues; truncate cape_workers`.simple());

test('every lease looks expired after a jump of the clock: only those are taken that nobody renews for a while after it', async () => {
  const [abandoned, renewed] = (await insert(sql, 'abandoned', 'renewed')) as [number, number];
  await claimAs(db, await actor(db));
  const jump = (id: number, ago: string) =>
    sql`update cape_leases set lease_until = now() - ${ago}::interval where issue_id = ${id}`;
  await Promise.all([jump(abandoned, '1 hour'), jump(renewed, '1 hour')]);
  const rescuer = new Rescuer(db, WAIT_MS, silent);
  const began = performance.now();
  await rescuer.look();
  await rescuer.look();
  expect(await stored(sql, abandoned)).toMatchObject({ status: 'started', crashes: 0 });
  // Its holder lives and has renewed it; expired once more, its time begins anew.
  await jump(renewed, '30 minutes');
  await until(async () => {
    await rescuer.look();
    return (await stored(sql, abandoned)).status === 'pending';
  });
  expect(performance.now() - began).toBeGreaterThanOrEqual(WAIT_MS);
  expect(await stored(sql, abandoned)).toMatchObject({ crashes: 1 });
});

test('a lease that was renewed meanwhile is not the one that was seen: its wait begins anew', async () => {
  const [id] = (await insert(sql, 'renewed')) as [number];
  await claimAs(db, await actor(db));
  const rescuer = new Rescuer(db, WAIT_MS, silent);
  await sql`update cape_leases set lease_until = now() - interval '1 hour'`;
  await rescuer.look();
  await new Promise((done) => setTimeout(done, WAIT_MS + 50));
  await sql`update cape_leases set lease_until = now() - interval '30 minutes'`;
  await rescuer.look();
  expect(await stored(sql, id)).toMatchObject({ status: 'started', crashes: 0 });
});

test('a row that somebody will not have written keeps no other from being taken, and is said once', async () => {
  const [refused, other] = (await insert(sql, 'refused', 'other')) as [number, number];
  await claimAs(db, await actor(db));
  await sql.unsafe(`
    create function refuse() returns trigger language plpgsql as $$ begin raise 'not this one'; end $$;
    create trigger refuse before update on cape_issues for each row when (old.id = ${refused}) execute function refuse()`);
  try {
    const errors: string[] = [];
    const log: Log = { ...silent, error: (line) => void errors.push(line) };
    const rescuer = new Rescuer(db, 0, log);
    await sql`update cape_leases set lease_until = now() - interval '1 hour'`;
    await rescuer.look();
    await rescuer.look();
    expect(await stored(sql, other)).toMatchObject({ status: 'pending' });
    expect(await stored(sql, refused)).toMatchObject({ status: 'started' });
    expect(errors).toEqual([expect.stringMatching(new RegExp(`^issue ${refused}: can't be taken .*: not this one`))]);
  } finally {
    await sql`drop function refuse() cascade`;
  }
});

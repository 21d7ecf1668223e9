/**
 * The mark of an idle worker. Inserts notify only while some worker carries one: a NOTIFY takes a lock on the whole
 * server, and with one in every insert two thirds of the insert rate are gone. How inserters learn of it without a query:
 * migrations/011_waking.sql.
 */
import type { Queryable } from '../db/connect.js';
import { horizonNow } from '../db/horizon.js';

/** A mark expires by the database's clock, so that a worker that died idle does not slow inserts down for ever. */
export const WAITING_SECONDS = 60;

/**
 * Marks the process as waiting.
 *
 * An inserter whose trigger saw no mark may commit in silence later. So after this the caller claims again, at growing
 * pauses, until `writersOlderThan(horizon)` has said no before the claim.
 * @returns the horizon: a transaction with that number or a later one has seen the mark
 */
export async function markWaiting(db: Queryable, instance: string): Promise<string> {
  await db.query(MARK, [instance, WAITING_SECONDS]);
  return horizonNow(db);
}

/** Takes the mark away. Worth a write only after a busy second: each flip between idle and busy would be one. */
export async function clearWaiting(db: Queryable, instance: string): Promise<void> {
  await db.query(CLEAR, [instance]);
}

/** Nothing is lost with a mark that a server crash forgets, so its commit does not wait for the disk. */
const RELAXED = `relaxed as materialized (select set_config('synchronous_commit', 'off', true) as value)`;

const MARK = `
  with ${RELAXED}
  update cape_workers set waiting_until = now() + $2::int * interval '1 second'
    from relaxed where instance = $1::uuid and relaxed.value = 'off'`;

const CLEAR = `
  with ${RELAXED}
  update cape_workers set waiting_until = null
    from relaxed where instance = $1::uuid and waiting_until is not null and relaxed.value = 'off'`;

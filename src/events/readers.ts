/**
 * The mark of a process that wants to hear of events. Events are notified of only while somebody carries one, since every
 * NOTIFY takes a lock on the whole server.
 */
import type { Queryable } from '../db/connect.js';
import { horizonNow } from '../db/horizon.js';

/** A mark expires by the database's clock, so that a reader that died does not slow writers down for ever. */
const MARKED_SECONDS = 40;
/** How often it is made anew, milliseconds. */
export const MARK_EVERY_MS = 15_000;

/**
 * Marks a process. Whoever wrote without having seen the mark commits in silence; that is over once `writersOlderThan` the
 * horizon are gone.
 * @returns the horizon
 */
export async function markReading(db: Queryable, id: string): Promise<string> {
  await db.query(MARK, [id, MARKED_SECONDS]);
  return horizonNow(db);
}

export async function unmarkReading(db: Queryable, id: string): Promise<void> {
  await db.query('delete from cape_readers where id = $1::uuid', [id]);
}

/** Nothing is lost with a mark that a server crash forgets; those of readers that died go with the next one made. */
const MARK = `
  with relaxed as materialized (select set_config('synchronous_commit', 'off', true) as value),
  gone as (delete from cape_readers where until < now() - interval '1 hour')
  insert into cape_readers (id, until)
  select $1::uuid, now() + $2::int * interval '1 second' from relaxed where value = 'off'
  on conflict (id) do update set until = excluded.until`;

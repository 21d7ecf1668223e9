/** Which transactions may not have seen what was committed a moment ago, such as the mark of somebody who wants to be notified. */
import type { Queryable } from './connect.js';

/**
 * To be asked in a statement of its own after that commit: a number taken with it would miss the transactions in between.
 * A number that is used up: the xmax of a snapshot is only behind the last that ended, which may be that commit itself, with
 * one that has not seen it still running behind.
 * @returns a transaction with a later number has seen it
 */
export async function horizonNow(db: Queryable): Promise<string> {
  const [row] = await db.query<{ horizon: string }>('select pg_current_xact_id()::text as horizon');
  return row?.horizon ?? '0';
}

/**
 * True while a transaction that has written and is older than that still runs. Those that only read, such as backups, have
 * no number and never prolong it. Ask first, then look: the look then sees what the last of them wrote.
 */
export async function writersOlderThan(db: Queryable, horizon: string): Promise<boolean> {
  const [row] = await db.query<{ writing: boolean }>(
    'select pg_snapshot_xmin(pg_current_snapshot()) < $1::text::xid8 as writing',
    [horizon],
  );
  return row?.writing ?? false;
}

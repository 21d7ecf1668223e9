/**
 * After dump and restore a new server counts its transactions from the beginning again: events would have come from
 * transactions that are still to be, and be shown to nobody until then.
 */
import type { Queryable } from '../db/connect.js';

const BATCH = 10_000;

/**
 * Gives events of such transactions the number of one that is, in their old order. Any number of processes may do it.
 * @returns how many; 0, found by one look at the end of an index, is the ordinary case
 */
export async function restamp(db: Queryable): Promise<number> {
  let all = 0;
  for (;;) {
    const [row] = await db.query<{ stamped: number }>(RESTAMP, [BATCH]);
    const stamped = row?.stamped ?? 0;
    all += stamped;
    if (stamped < BATCH) return all;
  }
}

// A row that we see and whose number is not given out yet was not written by a transaction of this server.
const RESTAMP = `
with
  future as materialized (
    select issue_id, seq from cape_events where xid >= pg_snapshot_xmax(pg_current_snapshot())
     order by xid, issue_id, seq limit $1::int for no key update skip locked),
  stamped as (
    update cape_events e set xid = pg_current_xact_id() from future f where e.issue_id = f.issue_id and e.seq = f.seq
    returning 1)
select count(*)::int as stamped from stamped`;

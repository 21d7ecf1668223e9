/** Deletes events of long ago, a batch at a time: the order of transactions is nearly that of time, and has an index. */
import { placeOf } from '../core/event.js';
import type { Queryable } from '../db/connect.js';

/** Before every event. */
export const FIRST_PLACE = '0.0.0';

export interface PrunedEvents {
  readonly deleted: number;
  /** Where the next batch begins: what was deleted leaves dead entries in the index, which are not to be passed again. */
  readonly next: string;
  /** There may be more that is old enough. */
  readonly more: boolean;
}

/** Looks at the next `limit` events, and deletes those that are older than `days`. */
export async function pruneEvents(db: Queryable, days: number, after: string, limit: number): Promise<PrunedEvents> {
  const { xid, issue, seq } = placeOf(after);
  const [row] = await db.query<{ deleted: number; looked: number; kept: number; next: string | null }>(PRUNE, [
    days,
    xid,
    issue,
    seq,
    limit,
  ]);
  if (!row) return { deleted: 0, next: after, more: false };
  // Rows that a dump brought back may lie in between: one that is young is no reason to stop, nothing but young ones is.
  return { deleted: row.deleted, next: row.next ?? after, more: row.looked === limit && row.kept < limit };
}

const PRUNE = `
with
  looked as materialized (
    select xid, issue_id, seq, at < now() - $1::int * interval '1 day' as old from cape_events
     where (xid, issue_id, seq) > ($2::text::xid8, $3::int, $4::int)
     order by xid, issue_id, seq limit $5::int),
  deleted as (
    delete from cape_events e using looked l
     where e.issue_id = any(array(select issue_id from looked where old))
       and l.old and e.issue_id = l.issue_id and e.seq = l.seq
    returning 1)
select (select count(*)::int from deleted) as deleted,
       (select count(*)::int from looked) as looked,
       (select count(*)::int from looked where not old) as kept,
       (select xid || '.' || issue_id || '.' || seq from looked order by xid desc, issue_id desc, seq desc limit 1) as next`;

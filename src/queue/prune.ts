/** What is kept of what has been: events, and attempts that ended long ago. Every worker prunes, in small batches. */
import type { Queryable } from '../db/connect.js';
import { FIRST_PLACE, pruneEvents } from '../events/prune.js';

/** Rows of one batch: 10 to 20 ms, on a connection that renews leases as well. */
const BATCH = 1000;

export interface PruneStep {
  readonly events: number;
  readonly attempts: number;
  /** Where the next step goes on; null where nothing is left to do. */
  readonly next: string | null;
}

/**
 * One batch of each.
 * @param after null at the beginning, then what the step before says
 */
export async function pruneHistory(db: Queryable, days: number, after: string | null): Promise<PruneStep> {
  const events = await pruneEvents(db, days, after ?? FIRST_PLACE, BATCH);
  const [row] = await db.query<{ deleted: number }>(ATTEMPTS, [days, BATCH]);
  const attempts = row?.deleted ?? 0;
  return { events: events.deleted, attempts, next: events.more || attempts === BATCH ? events.next : null };
}

// By the BRIN index, which finds the pages that hold something old. The issue keeps its counts and its last error.
const ATTEMPTS = `
with
  old as materialized (
    select issue_id, attempt from cape_attempts where ended_at < now() - $1::int * interval '1 day' limit $2::int),
  deleted as (
    delete from cape_attempts a using old
     where a.issue_id = any(array(select issue_id from old)) and a.issue_id = old.issue_id and a.attempt = old.attempt
    returning 1)
select count(*)::int as deleted from deleted`;

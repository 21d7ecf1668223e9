import type { Queryable } from '../db/connect.js';

/**
 * How long the oldest event has waited that is committed and not shown yet, seconds; 0 where there is none. The stream of
 * all stops before the oldest transaction that is still writing: a forgotten one holds it up.
 */
export async function eventLag(db: Queryable): Promise<number> {
  const [row] = await db.query<{ seconds: number | null }>(LAG);
  return Math.max(0, row?.seconds ?? 0);
}

// By the index on xid, the first is the oldest. Those that are ours to see are the committed ones.
const LAG = `
  select extract(epoch from clock_timestamp() - at)::float8 as seconds from cape_events
   where xid >= pg_snapshot_xmin(pg_current_snapshot()) order by xid, issue_id, seq limit 1`;

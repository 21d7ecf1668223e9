/** Parked issues whose time has come. Any worker's tick may do this; SKIP LOCKED keeps two from doing the same. */
import type { Queryable } from '../db/connect.js';

export interface Promoted {
  /** How many may be claimed from now on. `limit` of them: ask again at once. */
  readonly promoted: number;
  /** Milliseconds until the next one is due, by the database's clock; null = none is parked. */
  readonly nextMs: number | null;
}

/** Clears `run_at` of up to `limit` due issues; a trigger wakes those who wait. */
export async function promote(db: Queryable, limit: number): Promise<Promoted> {
  const [row] = await db.query<Promoted>(PROMOTE, [limit]);
  return row ?? { promoted: 0, nextMs: null };
}

// 'infinity' is somebody's way to park an issue for good: it has no next time.
const PROMOTE = `
with
  due as materialized (
    select id from cape_issues where status = 'pending' and run_at is not null and run_at <= now()
     order by run_at limit $1::int for no key update skip locked),
  promoted as (
    update cape_issues set run_at = null, updated_at = now() where id = any(array(select id from due)) returning id)
select (select count(*)::int from promoted) as promoted,
       (select extract(epoch from run_at - now())::float8 * 1000 from cape_issues
         where status = 'pending' and run_at is not null and run_at > now() and run_at < 'infinity'
         order by run_at limit 1) as "nextMs"`;

/** Small questions about what is left to do. */
import { arrayOf, type Queryable } from '../db/connect.js';

const OURS = `(assigned_worker_id is null or assigned_worker_id = $1) and id <> all($2::int[])`;

// One question for each index, or all that has ever ended would be read: with OR between them it was a pass over the table,
// seconds at five million rows.
// A retry's pause counts (`attempt > 0`), a future run_at that somebody asked for does not. One that is past does, also
// before anybody has promoted it: the first look of a worker may come before its first promotion.
const ANYTHING_PENDING = `
  select exists (
      select from cape_issues
       where status = 'pending' and run_at is null and not leased and assigned_worker_id is null and id <> all($2::int[]))
    or exists (
      select from cape_issues
       where status = 'pending' and run_at is null and not leased and assigned_worker_id is not null
         and assigned_worker_id = $1 and id <> all($2::int[]))
    or exists (
      select from cape_issues
       where status = 'pending' and run_at is not null and run_at <= now() and not leased and ${OURS})
    or exists (
      select from cape_issues
       where status = 'pending' and run_at is not null and run_at < 'infinity' and attempt > 0 and not leased and ${OURS})
    -- Marked as leased: where that is by nobody, no worker will ever take it.
    or exists (
      select from cape_issues
       where id = any(array(select issue_id from cape_leases)) and status = 'pending' and leased
         and (run_at is null or run_at <= now() or (attempt > 0 and run_at < 'infinity')) and ${OURS}) as pending`;

/** True where something is left that this worker may run, retries in their pause among them; `except` can't be run. */
export async function anythingPendingFor(
  db: Queryable,
  worker: string,
  except: readonly number[] = [],
): Promise<boolean> {
  const [row] = await db.query<{ pending: boolean }>(ANYTHING_PENDING, [worker, arrayOf(except)]);
  return row?.pending ?? false;
}

const UNFINISHED = `select id from cape_issues where id = any($1::int[]) and status in ('pending', 'started')`;

/** Those of the ids whose issue has not ended. */
export async function unfinishedAmong(db: Queryable, ids: readonly number[]): Promise<number[]> {
  return (await db.query<{ id: number }>(UNFINISHED, [arrayOf(ids)])).map(({ id }) => id);
}

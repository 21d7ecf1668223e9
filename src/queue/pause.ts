/** Who claims nothing for now. Kept in the database: it holds for workers that nobody has seen yet, and over restarts. */
import type { Queryable } from '../db/connect.js';

/** Stops a worker, or every worker (null), from claiming. What runs goes on. Takes effect with the next claim. */
export async function pause(db: Queryable, worker: string | null): Promise<void> {
  await db.query(`insert into cape_pauses (worker_id) values ($1) on conflict do nothing`, [worker ?? EVERYBODY]);
}

/** Ends the pause of a worker, or every pause (null), and wakes those who wait. */
export async function resume(db: Queryable, worker: string | null): Promise<void> {
  await db.query(
    `with ended as (delete from cape_pauses where $1::text is null or worker_id = $1::text)
     select pg_notify('cape_issues', '')`,
    [worker],
  );
}

/** The ids of paused workers, and whether everybody is paused (then resuming one of them changes nothing). */
export interface Pauses {
  readonly everybody: boolean;
  readonly workers: readonly string[];
}

export async function pauses(db: Queryable): Promise<Pauses> {
  const rows = await db.query<{ worker_id: string }>(`select worker_id from cape_pauses order by worker_id`);
  const ids = rows.map((row) => row.worker_id);
  return { everybody: ids.includes(EVERYBODY), workers: ids.filter((id) => id !== EVERYBODY) };
}

/** No worker's id: these begin with a letter or a digit. */
const EVERYBODY = '*';

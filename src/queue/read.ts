/** What people and programs look at. Nothing here locks or changes a row. */
import type { Attempt, Issue } from '../core/issue.js';
import type { Queryable } from '../db/connect.js';

// By name: tables that were adopted have columns of their own, in an order of their own.
export const ISSUE_COLUMNS = `
  id, description, status, assigned_worker_id, created_at, updated_at, started_at, completed_at, priority, run_at,
  target_worker_id, max_attempts, timeout_seconds, attempt, failures, crashes, snoozes, generation, result, last_error,
  type, params, key`;

/** One issue, or undefined. */
export async function get(db: Queryable, id: number): Promise<Issue | undefined> {
  const [row] = await db.query<Issue>(`select ${ISSUE_COLUMNS} from cape_issues where id = $1`, [id]);
  return row;
}

// The running attempt is its lease; where its output goes is told by its worker's row, as for a file of history.
const ATTEMPTS = `
  select issue_id, attempt, worker_id, started_at, ended_at, outcome, exit_code, signal, error, tail, log_path, log_host
    from cape_attempts where issue_id = $1
  union all
  select l.issue_id, l.attempt, l.worker_id, l.started_at, null, null, null, null,
         'being ended: ' || l.cancel, null,
         w.log_dir || '/issues/' || l.issue_id || '/' || l.attempt || '.log', w.host
    from cape_leases l left join cape_workers w on w.instance = l.instance
   where l.issue_id = $1
   order by attempt`;

/** The attempts of an issue, oldest first; a running one is the last and has no `ended_at`. */
export function attempts(db: Queryable, id: number): Promise<Attempt[]> {
  return db.query<Attempt>(ATTEMPTS, [id]);
}

/** What no worker will ever repair by itself. */
export interface Oddities {
  /** Rows with a status that is none of ours. */
  readonly other_status: number;
  /** Started rows that no lease covers: nobody would ever take them up again. */
  readonly started_unleased: number;
  /** Parked with run_at = 'infinity'. */
  readonly parked_for_good: number;
  /** Directed to workers that have never been seen. */
  readonly for_unseen: number;
  /** Their attempt number can't grow any more, so no claim of them succeeds. */
  readonly out_of_attempts: number;
  /** Pending, marked as leased, and no lease is there: no claim takes them. */
  readonly leased_by_nobody: number;
  /** Running for a program that knows no leases: a worker of an older system, which can't be fenced. */
  readonly held_by_others: number;
}

const ODDITIES = `
  select count(*) filter (where status not in ('pending', 'started', 'completed', 'failed', 'cancelled'))::int as other_status,
         count(*) filter (where status = 'started' and not leased)::int as started_unleased,
         count(*) filter (where status = 'pending' and run_at = 'infinity')::int as parked_for_good,
         count(*) filter (where status = 'pending' and assigned_worker_id is not null
                            and assigned_worker_id not in (select id from cape_workers))::int as for_unseen,
         count(*) filter (where status = 'pending' and attempt = 2147483647)::int as out_of_attempts,
         count(*) filter (where status = 'pending' and leased
                            and id not in (select issue_id from cape_leases))::int as leased_by_nobody,
         (select count(*)::int from cape_leases where instance is null) as held_by_others
    from cape_issues`;

export async function oddities(db: Queryable): Promise<Oddities> {
  const [row] = await db.query<Oddities>(ODDITIES);
  return row as Oddities;
}

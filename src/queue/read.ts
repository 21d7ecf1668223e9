/** What people and programs look at. Nothing here locks or changes a row. */
import type { Attempt, Issue } from '../core/issue.js';
import type { Queryable } from '../db/connect.js';
import { STALE_SECONDS } from './workers.js';

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

/** How the queue is doing. */
export interface Stats {
  readonly pending: number;
  /** Of the pending ones, those that wait for a time to come. */
  readonly parked: number;
  readonly started: number;
  readonly completed: number;
  readonly failed: number;
  readonly cancelled: number;
  /** Rows with a status that is none of ours; no worker touches them. */
  readonly other: number;
  /** Seconds since the oldest issue that could run now was added; null where there is none. */
  readonly oldest_pending_seconds: number | null;
  readonly completed_last_hour: number;
  readonly failed_last_hour: number;
  /** Pending issues directed to workers that are not there to take them. */
  readonly stranded: readonly { readonly worker_id: string; readonly issues: number; readonly seen: boolean }[];
}

// One pass over the table: there is no index for these numbers, and each separate count would be a pass of its own.
const COUNTS = `
  select count(*) filter (where status = 'pending')::int as pending,
         count(*) filter (where status = 'pending' and run_at is not null)::int as parked,
         count(*) filter (where status = 'started')::int as started,
         count(*) filter (where status = 'completed')::int as completed,
         count(*) filter (where status = 'failed')::int as failed,
         count(*) filter (where status = 'cancelled')::int as cancelled,
         count(*) filter (where status not in ('pending', 'started', 'completed', 'failed', 'cancelled'))::int as other,
         extract(epoch from now() - min(created_at) filter (where status = 'pending' and run_at is null))::float8
           as oldest_pending_seconds,
         count(*) filter (where status = 'completed' and completed_at > now() - interval '1 hour')::int
           as completed_last_hour,
         count(*) filter (where status = 'failed' and completed_at > now() - interval '1 hour')::int as failed_last_hour
    from cape_issues`;

const STRANDED = `
  select i.assigned_worker_id as worker_id, count(*)::int as issues, bool_or(w.id is not null) as seen
    from cape_issues i left join cape_workers w on w.id = i.assigned_worker_id
   where i.status = 'pending' and i.assigned_worker_id is not null
     and (w.id is null or w.stopped_at is not null or w.heartbeat_at < now() - ${STALE_SECONDS} * interval '1 second')
   group by 1 order by 1`;

export async function stats(db: Queryable): Promise<Stats> {
  const [counts] = await db.query<Omit<Stats, 'stranded'>>(COUNTS);
  const stranded = await db.query<Stats['stranded'][number]>(STRANDED);
  return { ...(counts as Omit<Stats, 'stranded'>), stranded };
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

/** Taking pending issues: each goes to exactly one worker, highest priority first, then oldest. */
import type { Claim, ClaimedIssue } from '../core/issue.js';
import { arrayOf, type Param, type Queryable } from '../db/connect.js';
import { COUNT_STARTED, tellBy, telling, tellStarted } from '../events/append.js';

/** The last claimed row's place in the order (priority, created_at, id). The next claim looks behind it. */
export interface ClaimHint {
  readonly priority: number;
  /** Text: a Date would round the microseconds. */
  readonly created_at: string;
  readonly id: number;
}

/** Before every row: look from the head of the queue. */
export const START: ClaimHint = { priority: 32768, created_at: '-infinity', id: 0 };

export interface ClaimRequest {
  readonly worker: string;
  /** The process that asks (`register`); it gets nothing once another has taken its worker id. */
  readonly instance: string;
  /** How many at most; 0 claims nothing. */
  readonly limit: number;
  /** A new UUID for every request, chosen before it is sent: by it an unclear claim is found again. */
  readonly token: string;
  readonly leaseSeconds: number;
  /**
   * Skips the dead index entries of what was claimed before (with an old snapshot held open, a claim from the head falls
   * from 30 k to 11 k rows/s within 100 k rows; with a hint it stays flat). A row that comes to lie behind it is found
   * when the caller goes back to START: on a notification, a release, an error, and every 2 s.
   */
  readonly hint: ClaimHint;
  /** Issues to pass over; default none. */
  readonly except?: readonly number[];
}

export interface Claimed {
  /** In the order in which they are to be started. */
  readonly claims: Claim[];
  /** For the next request. START after a short answer, since the rest of the queue has then been seen. */
  readonly hint: ClaimHint;
}

/** Claims up to `limit` issues: none while the worker (or every worker) is paused. */
export async function claim(db: Queryable, request: ClaimRequest): Promise<Claimed> {
  return claimedFrom(await tellBy<ClaimRow>(db, CLAIM, claimParams(request)), request);
}

/** What a claim took whose answer got lost: empty where it was not committed, or where all of it has ended since. */
export async function claimedBy(db: Queryable, token: string): Promise<Claim[]> {
  return (await db.query<ClaimRow>(CLAIMED_BY, [token])).map((row) => claimOf(row, token));
}

/**
 * Whether another session of this program is executing something, such as a claim whose connection is lost. Asked before
 * `claimedBy`: once nothing is executed any more, that sees everything that was committed.
 */
export async function stillExecuting(db: Queryable): Promise<boolean> {
  const [row] = await db.query<{ busy: boolean }>(STILL_EXECUTING);
  return row?.busy !== false;
}

/** A row as the statement gives it. */
export interface ClaimRow extends ClaimedIssue {
  readonly attempt: number;
}

/** The parameters that `claimSteps` numbers. */
export function claimParams({
  worker,
  instance,
  limit,
  token,
  leaseSeconds,
  hint,
  except = [],
}: ClaimRequest): Param[] {
  return [
    worker,
    instance,
    limit,
    token,
    leaseSeconds,
    -hint.priority,
    hint.created_at,
    hint.id,
    except.length === 0 ? null : arrayOf(except),
  ];
}

/** The answer of a statement with `claimSteps`. */
export function claimedFrom(rows: readonly ClaimRow[], { limit, token, hint }: ClaimRequest): Claimed {
  // Directed rows come first and have an order of their own: the hint is for those that anyone may take.
  const last = rows.findLast((row) => !row.directed);
  return {
    claims: rows.map((row) => claimOf(row, token)),
    hint:
      rows.length < limit ? START : last ? { priority: last.priority, created_at: last.created_at, id: last.id } : hint,
  };
}

/** Named one by one: "all but the attempt" takes four times as long. */
function claimOf(row: ClaimRow, token: string): Claim {
  const issue = {
    id: row.id,
    description: row.description,
    priority: row.priority,
    created_at: row.created_at,
    type: row.type,
    params: row.params,
    timeout_seconds: row.timeout_seconds,
    max_attempts: row.max_attempts,
    failures: row.failures,
    crashes: row.crashes,
    snoozes: row.snoozes,
    generation: row.generation,
    directed: row.directed,
  };
  return { issue, attempt: row.attempt, token };
}

const COLUMNS = `i.id, i.description, i.attempt, i.priority, i.created_at::text as created_at, i.type, i.params,
  i.timeout_seconds, i.max_attempts, i.failures, i.crashes, i.snoozes, i.generation,
  i.target_worker_id is not null as directed`;

/**
 * The claim as CTEs; the last, `claimed`, has a ClaimRow per issue, in order. Nine parameters, the first numbered `p`.
 *
 * - The predicates repeat those of the indexes as literals: a parameter for the status can lose a partial index.
 * - FOR NO KEY UPDATE: with FOR UPDATE, rows that an open foreign-key insert has locked would be skipped.
 * - Directed rows first, whatever their priority: a merged order would have to lock twice the rows.
 * - The limit needs the CTE *and* `id = any(array(...))`. As a mere subquery it may run in a nested loop, again for
 *   every row, and take more than the limit; joined, the update became a hash join over the whole primary key.
 */
export function claimSteps(p: number, unlessTold: string): string {
  const [worker, instance, limit, token, lease, priority, created, id, except] = Array.from(
    { length: 9 },
    (_, i) => `$${p + i}`,
  );
  return `
  slots as materialized (
    select case when exists (select from cape_workers where instance = ${instance}::uuid and id = ${worker})
                 and not exists (select from cape_pauses where worker_id in (${worker}, '*'))
           then ${limit}::int else 0 end as free),
  directed as materialized (
    select i.id from cape_issues i
     where i.status = 'pending' and i.run_at is null and not i.leased
       and i.assigned_worker_id is not null and i.assigned_worker_id = ${worker} and ${passes(except)}
     order by (-i.priority::int), i.created_at, i.id
     limit (select free from slots) for no key update skip locked),
  undirected as materialized (
    select i.id from cape_issues i
     where i.status = 'pending' and i.run_at is null and not i.leased and i.assigned_worker_id is null
       and ((-i.priority::int), i.created_at, i.id) > (${priority}::int, ${created}::text::timestamptz, ${id}::int)
       and ${passes(except)}
     order by (-i.priority::int), i.created_at, i.id
     limit (select free from slots) - (select count(*) from directed) for no key update skip locked),
  taken as (
    update cape_issues i
       set status = 'started', leased = true, attempt = i.attempt + 1, started_at = now(), updated_at = now(),
           completed_at = null, target_worker_id = i.assigned_worker_id, assigned_worker_id = ${worker},
           events = ${COUNT_STARTED}
     where i.id = any(array(select id from directed union all select id from undirected))
    returning ${COLUMNS}, i.events, -i.priority::int as place, i.created_at as created),
  leases as (
    insert into cape_leases (issue_id, attempt, token, worker_id, instance, lease_until, events)
    select id, attempt, ${token}::uuid, ${worker}, ${instance}::uuid, now() + ${lease}::float8 * interval '1 second', events
      from taken),
  ${tellStarted(worker as string, unlessTold)},
  claimed as (select * from taken order by directed desc, place, created, id)`;
}

/** The columns of `claimed` that make a ClaimRow. */
export const CLAIM_ROW = `id, description, attempt, priority, created_at, type, params, timeout_seconds, max_attempts,
  failures, crashes, snoozes, generation, directed`;

/** Null, the usual case, costs next to nothing. */
function passes(except: string | undefined): string {
  return `(${except}::int[] is null or i.id <> all(${except}::int[]))`;
}

const CLAIM = telling((unlessTold) => `with ${claimSteps(1, unlessTold)} select ${CLAIM_ROW} from claimed`);

// A state that we may not see (null) counts as busy.
const STILL_EXECUTING = `
  select exists (
    select from pg_stat_activity
     where datname = current_database() and application_name = current_setting('application_name')
       and pid <> pg_backend_pid() and state is distinct from 'idle') as busy`;

const CLAIMED_BY = `
  select ${COLUMNS} from cape_leases l join cape_issues i on i.id = l.issue_id
   where l.token = $1::uuid and i.id = any(array(select issue_id from cape_leases where token = $1::uuid))
   order by directed desc, i.priority desc, i.created_at, i.id`;

/** The issue that a claim of one would take now; null where there is none. */
export async function nextToClaim(db: Queryable, worker: string, except: readonly number[]): Promise<number | null> {
  const [row] = await db.query<{ id: number }>(NEXT, [worker, arrayOf(except)]);
  return row?.id ?? null;
}

// As the claim looks for it, so that both find the same one; the locks end with the statement.
const NEXT = `
with
  directed as materialized (
    select i.id from cape_issues i
     where i.status = 'pending' and i.run_at is null and not i.leased
       and i.assigned_worker_id is not null and i.assigned_worker_id = $1 and ${passes('$2')}
     order by (-i.priority::int), i.created_at, i.id limit 1 for no key update skip locked),
  undirected as materialized (
    select i.id from cape_issues i
     where i.status = 'pending' and i.run_at is null and not i.leased and i.assigned_worker_id is null and ${passes('$2')}
     order by (-i.priority::int), i.created_at, i.id limit 1 for no key update skip locked)
  select id from directed union all select id from undirected where not exists (select from directed)`;

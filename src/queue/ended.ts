/**
 * What every end of an attempt writes, whoever ends it: the row of history, and the issue. The statements of settle.ts
 * and rescue.ts take leases away in a CTE `ended` and go on with these.
 */
import { COUNT_ENDED, tellEnded } from '../events/append.js';

/**
 * Columns of `ended`, which needs a CTE `locked` with the issue's `status` and `events`. Issue first, lease second, each
 * with SKIP LOCKED: the other way round, a settle that waits for a locked issue holds the lease and with it the renewal
 * of all leases.
 */
export const LEASE_COLUMNS = `l.issue_id, l.attempt, l.token, l.worker_id, l.started_at, ${COUNT_ENDED} as events`;

/**
 * The status that an issue gets. A status that somebody wrote by hand meanwhile stands; a cancel mark turns every way
 * back to pending into cancelled, also where the worker crashed before it could act on the mark.
 */
export function statusAfter(wanted: string): string {
  return `case when locked.status <> 'started' then locked.status
       when l.cancel is not null and ${wanted} = 'pending' then 'cancelled' else ${wanted} end as status,
       locked.status = 'started' as ours`;
}

/**
 * CTEs `history`, `told_ended` and `written`. `ended` needs, besides LEASE_COLUMNS: status, ours, delay_ms, charge,
 * outcome, exit_code, signal, error, tail, result, log_path, log_host. `ids` is the parameter with all issue ids: joining
 * through CTEs alone became a hash join over the whole primary key.
 * @param back how what is pending again came to be so
 * @param unlessTold what its insertion of events ends with (`telling`)
 */
export function writeEnded(ids: string, back: 'settled' | 'rescued', unlessTold: string): string {
  return `
  history as (
    insert into cape_attempts (issue_id, attempt, token, worker_id, started_at, outcome, exit_code, signal, error, tail,
                               log_path, log_host)
    select issue_id, attempt, token, worker_id, started_at, outcome, exit_code, signal, error, tail, log_path, log_host
      from ended
     -- Somebody has set the issue's attempt back: the older history stands, and the issue must not stay stuck over it.
     -- ON CONFLICT inserts on trial, with a lock and a second record in the log for each row: 1.6 us of 17 more. What is
     -- written between our snapshot and our lock fails the statement, and is seen by the next try.
     where not exists (
       select from cape_attempts a
        where a.issue_id = any(${ids}) and a.issue_id = ended.issue_id and a.attempt = ended.attempt)),
  ${tellEnded(back, unlessTold)},
  written as (
    update cape_issues i
       set status = e.status, leased = false, updated_at = now(), events = e.events,
           started_at = case when e.status <> 'pending' then i.started_at end,
           completed_at = case when e.status <> 'pending' then coalesce(i.completed_at, now()) end,
           assigned_worker_id = case when e.ours and e.status = 'pending' then i.target_worker_id else i.assigned_worker_id end,
           run_at = case when e.ours and e.status = 'pending' and e.delay_ms > 0
                         then now() + e.delay_ms * interval '1 millisecond' else i.run_at end,
           failures = least(i.failures + (e.charge = 'failure')::int, 32767),
           crashes = least(i.crashes + (e.charge = 'crash')::int, 32767),
           snoozes = least(i.snoozes::bigint + (e.charge = 'snooze')::int, 2147483647),
           last_error = coalesce(e.error, i.last_error),
           result = coalesce(e.result, i.result)
      from ended e
     where i.id = any(${ids}) and i.id = e.issue_id)`;
}

/**
 * Taking attempts from holders that are gone, so that nothing stays started for ever. Every worker does this; there is no
 * leader.
 */
import { CRASH_CAP, type Status } from '../core/issue.js';
import { arrayOf, type Param, type Queryable } from '../db/connect.js';
import { countLate, lockLeases, tellLate, UNLESS_TOLD } from '../events/append.js';
import { LEASE_COLUMNS, statusAfter, writeEnded } from './ended.js';
import { type Held, heldParams } from './settle.js';

/** A lease as it was seen. */
export interface SeenLease {
  readonly issue_id: number;
  readonly token: string;
  readonly worker_id: string;
  /** Text with its microseconds: any renewal changes it. */
  readonly lease_until: string;
}

export interface Rescued {
  readonly id: number;
  readonly attempt: number;
  /** Who had it. */
  readonly worker_id: string;
  /** What the issue is now. */
  readonly status: Status;
}

/**
 * Step one: the leases whose time is over, oldest first, 500 at most.
 *
 * Not yet proof that a holder is gone: after an outage, or when the database's clock jumps, every lease looks like this.
 * The caller remembers them and comes back with those that it has seen unchanged for longer than any live holder takes to
 * renew or to end its commands, on its own monotonic clock. Nothing is written, so a rescuer that dies leaves no trace.
 */
export async function expired(db: Queryable): Promise<SeenLease[]> {
  return db.query(
    `select issue_id, token, worker_id, lease_until::text as lease_until
       from cape_leases where lease_until < now() order by cape_leases.lease_until limit 500`,
  );
}

/**
 * Step two: takes those whose lease is still exactly as it was seen. The crash is charged to the issue, and the
 * CRASH_CAP-th ends it. Locked issues are left for the next time.
 */
export async function rescue(db: Queryable, seen: readonly SeenLease[]): Promise<Rescued[]> {
  if (seen.length === 0) return [];
  return db.query(TAKE, takeParams(seen, false));
}

/**
 * Takes everything from a process that is proven dead: its worker, keeper and warden are gone and nothing of what they
 * started is left. No lease has to run out first.
 * @param except issues that are left alone: how their attempts ended is known, and is still to be written
 * @returns what was taken, and how many leases are left because their issues were locked: try again for those
 */
export async function releaseDead(
  db: Queryable,
  instance: string,
  except: readonly number[] = [],
): Promise<{ taken: Rescued[]; left: number }> {
  const leases = await db.query<SeenLease>(
    `select issue_id, token, worker_id, lease_until::text as lease_until
       from cape_leases where instance = $1::uuid and issue_id <> all($2::int[])`,
    [instance, arrayOf(except)],
  );
  if (leases.length === 0) return { taken: [], left: 0 };
  const taken = await db.query<Rescued>(TAKE, takeParams(leases, true));
  return { taken, left: leases.length - taken.length };
}

function takeParams(leases: readonly SeenLease[], dead: boolean): Param[] {
  return [
    arrayOf(leases.map((lease) => lease.issue_id)),
    arrayOf(leases.map((lease) => lease.token)),
    arrayOf(leases.map((lease) => lease.lease_until)),
    dead,
    CRASH_CAP,
    dead ? 'died' : 'was gone: its lease ran out',
  ];
}

/** Ids, tokens, lease ends as seen, whether the holder is proven dead, the cap, what happened to the worker. */
const TAKE = `
with
  seen as materialized (select * from unnest($1::int[], $2::uuid[], $3::text[]) as v(id, token, lease_until)),
  locked as materialized (
    select id, status, crashes, events from cape_issues where id = any($1::int[]) order by id for no key update skip locked),
  ended as (
    delete from cape_leases l using seen join locked using (id)
     where l.issue_id = any($1::int[]) and l.issue_id = seen.id and l.token = seen.token
       and ($4::boolean or (l.lease_until = seen.lease_until::timestamptz and l.lease_until < now()))
    returning ${LEASE_COLUMNS}, ${statusAfter(`case when locked.crashes + 1 >= $5::int then 'failed' else 'pending' end`)},
              0::float8 as delay_ms, 'crash' as charge, 'crashed' as outcome, null::int as exit_code, null::text as signal,
              'worker ' || l.worker_id || ' ' || $6::text as error,
              null::text as tail, null::text as result,
              -- Where the dead worker wrote: its output is what there is to learn from.
              (select w.log_dir || '/issues/' || l.issue_id || '/' || l.attempt || '.log'
                 from cape_workers w where w.id = l.worker_id) as log_path,
              (select w.host from cape_workers w where w.id = l.worker_id and w.log_dir is not null) as log_host),
  ${writeEnded('$1::int[]', 'rescued', UNLESS_TOLD)}
select issue_id as id, attempt, worker_id, status from ended`;

/**
 * A holder that could not reach the database ended its commands in time and comes back late: what was booked as its crash
 * was an interruption and costs the issue nothing. An issue that failed by the crash cap, and is below it again, goes back
 * to pending.
 * @returns what was changed: `pending` where the issue was revived, else `interrupted`; `busy` where it is locked: report
 *   it again. Attempts that were never booked as a crash are not named.
 */
export async function reclassify(
  db: Queryable,
  attempts: readonly Held[],
): Promise<(Held & { state: 'interrupted' | 'pending' | 'busy' })[]> {
  if (attempts.length === 0) return [];
  return db.query(RECLASSIFY, [...heldParams(attempts), CRASH_CAP]);
}

const RECLASSIFY = `
with
  reported as materialized (select * from unnest($1::int[], $2::uuid[]) as v(id, token)),
  booked as materialized (
    select a.issue_id as id, a.token from reported r join cape_attempts a on a.issue_id = r.id and a.token = r.token
     where a.issue_id = any($1::int[]) and a.outcome = 'crashed'),
  locked as materialized (
    select id, attempt, status, crashes, key, events, leased from cape_issues where id = any($1::int[])
     order by id for no key update skip locked),
  ${lockLeases('locked')},
  corrected as (
    update cape_attempts a
       set outcome = 'interrupted', error = a.error || '; it came back and had ended the command in time'
      from booked join locked using (id) left join leased on leased.issue_id = id
     -- Claimed since this statement began: its lease, which numbers the events, is not seen. It is busy, for now.
     where (leased.issue_id is not null or not locked.leased)
       and a.issue_id = any($1::int[]) and a.issue_id = booked.id and a.token = booked.token and a.outcome = 'crashed'
    returning a.issue_id, a.token, a.attempt, a.worker_id, a.error),
  ${countLate('corrected', 'locked')},
  counts as (
    select l.id, greatest(l.crashes - c.corrected, 0) as crashes, c.events,
           -- Failed by the cap and by nothing else: its latest attempt was booked as a crash. Another unfinished issue
           -- may have its key by now: then it stays failed.
           l.status = 'failed' and l.crashes - c.corrected < $3::int
             and exists (select from cape_attempts a where a.issue_id = l.id and a.attempt = l.attempt and a.outcome = 'crashed')
             and not exists (select from cape_issues o where o.key = l.key and o.status in ('pending', 'started')) as revived
      from locked l join (select issue_id, count(*)::int as corrected, max(seq) as events from late group by issue_id) c
           on c.issue_id = l.id),
  ${tellLate('late', '$1::int[]')},
  written as (
    update cape_issues i
       set crashes = n.crashes, updated_at = now(),
           status = case when n.revived then 'pending' else i.status end,
           completed_at = case when n.revived then null else i.completed_at end,
           started_at = case when n.revived then null else i.started_at end,
           assigned_worker_id = case when n.revived then i.target_worker_id else i.assigned_worker_id end,
           events = n.events
      from counts n where i.id = any($1::int[]) and i.id = n.id
    returning i.id, n.revived)
select b.id, b.token, case when w.id is null then 'busy' when w.revived then 'pending' else 'interrupted' end as state
  from booked b left join corrected c on c.issue_id = b.id and c.token = b.token left join written w on w.id = c.issue_id`;

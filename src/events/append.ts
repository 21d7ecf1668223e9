/**
 * Telling what happened, in the transaction that does it. The statements of the queue take their events from here as
 * parts; a running attempt's own events (output, progress) are appended by `append`.
 */
import { arrayOf, type Param, type Queryable } from '../db/connect.js';
import { failureOf } from '../db/failure.js';

/** The greatest number that an issue's events have so far: for counts that an older program may have left behind. */
function told(issue: string): string {
  return `coalesce((select max(e.seq) from cape_events e where e.issue_id = ${issue}), 0)`;
}

/**
 * What an UPDATE of cape_issues (`i`) that claims counts. Looked up only where an attempt went before: it may have been
 * taken away by a program that knows no events.
 */
export const COUNT_STARTED = `
  case when i.attempt = 0 then i.events else greatest(i.events, ${told('i.id')}) end + 1`;

/** The number of an attempt's last event, from its lease `l` and its issue `locked`. */
export const COUNT_ENDED = `
  case when l.events > 0 then l.events else greatest(locked.events, ${told('l.issue_id')}) end + 1`;

/**
 * Should a count ever be wrong, an event is missing: an end that could not be written would keep its issue started, and a
 * rescuer from all others.
 */
export const UNLESS_TOLD = 'on conflict (issue_id, seq) do nothing';

/**
 * A statement that tells events, in two forms. The usual one fails where the number of an event is taken, which takes
 * somebody who changes counts by hand; the other leaves that event out. ON CONFLICT inserts on trial, with a lock and a
 * second record in the log for each row: 2 us of the 20 that a claim or a settlement costs in a batch.
 */
export interface Telling {
  readonly usual: string;
  readonly unlessTold: string;
}

/** @param build is given what to append to its insertions of events */
export function telling(build: (unlessTold: string) => string): Telling {
  return { usual: build(''), unlessTold: build(UNLESS_TOLD) };
}

const UNIQUE_VIOLATION = '23505';

/** Runs it in the form that works. Not within a transaction, which the first form would have ended. */
export async function tellBy<Row extends object>(
  db: Queryable,
  { usual, unlessTold }: Telling,
  params: readonly Param[],
): Promise<Row[]> {
  try {
    return await db.query<Row>(usual, params);
  } catch (error) {
    if (failureOf(error).code !== UNIQUE_VIOLATION) throw error;
    return db.query<Row>(unlessTold, params);
  }
}

/** A CTE: what the CTE `taken` (id, events, attempt) has claimed has started. */
export function tellStarted(worker: string, unlessTold: string): string {
  return `
  told_started as (
    insert into cape_events (issue_id, seq, attempt, worker_id, kind)
    select id, events, attempt, ${worker}, 'started' from taken
    ${unlessTold})`;
}

/**
 * A CTE: what the CTE `ended` says of its attempts. @param back what became of those that are pending again: `settled` by
 * their worker, or `rescued`
 */
export function tellEnded(back: 'settled' | 'rescued', unlessTold: string): string {
  const pending =
    back === 'rescued' ? `'rescued'` : `case when charge = 'none' or not ours then 'released' else 'retry' end`;
  return `
  told_ended as (
    insert into cape_events (issue_id, seq, attempt, worker_id, kind, data)
    select issue_id, events, attempt, worker_id, case when status = 'pending' then ${pending} else status end,
           ${endedData(back)}
      from ended
    ${unlessTold})`;
}

/** Most end well, and null says so: an object made for each takes 2 us, where the row's insertion takes 2.5. */
function endedData(back: 'settled' | 'rescued'): string {
  const pending =
    back === 'rescued'
      ? `jsonb_build_object('worker', worker_id, 'error', error)`
      : `case when charge = 'none' or not ours then jsonb_build_object('outcome', outcome, 'error', error)
              else jsonb_build_object('by', 'worker', 'outcome', outcome, 'exit_code', exit_code, 'signal', signal,
                                      'error', error, 'delay_ms', delay_ms, 'charge', charge) end`;
  return `
           case when status = 'completed' and outcome = 'succeeded' and error is null and exit_code is null then null
                when status = 'completed' and outcome = 'succeeded' and error is null and exit_code = 0
                  then '{"outcome": "succeeded", "exit_code": 0, "signal": null, "error": null}'::jsonb
                when status <> 'pending' then
                  jsonb_build_object('outcome', outcome, 'exit_code', exit_code, 'signal', signal, 'error', error)
                else ${pending} end`;
}

/**
 * A CTE `leased`: the leases of `issues`, a CTE that has locked these. Of those alone: somebody who holds another issue's
 * row may hold its lease as well, and be waiting for one that we hold.
 */
export function lockLeases(issues: string): string {
  return `
  leased as materialized (
    select issue_id, events from cape_leases where issue_id = any(array(select id from ${issues}))
     order by issue_id for no key update)`;
}

/**
 * A CTE `late`: the numbers of the events of attempts (`corrected`: issue_id, token, attempt, worker_id, error) whose
 * workers came back late. Their issues (`issues`: id, events) may run again by now: then the lease, which `lockLeases`
 * has seen, counts.
 */
export function countLate(corrected: string, issues: string): string {
  return `
  late as materialized (
    select c.issue_id, c.attempt, c.worker_id, c.error,
           greatest(i.events, l.events, ${told('c.issue_id')})
             + (row_number() over (partition by c.issue_id order by c.attempt))::int as seq
      from ${corrected} c join ${issues} i on i.id = c.issue_id left join leased l on l.issue_id = c.issue_id)`;
}

/** CTEs: tells of them. */
export function tellLate(late: string, ids: string): string {
  return `
  counted_late as (
    update cape_leases l set events = n.seq
      from (select issue_id, max(seq) as seq from ${late} group by issue_id) n
     where l.issue_id = any(${ids}) and l.issue_id = n.issue_id),
  told_late as (
    insert into cape_events (issue_id, seq, attempt, worker_id, kind, data)
    select issue_id, seq, attempt, worker_id, 'lost', jsonb_build_object('error', error) from ${late})`;
}

/**
 * Tells what a person did to an issue whose row the transaction has locked.
 * @returns its number, which the UPDATE of the issue's status has to write into `events`: a status that changes without
 *   it was changed by hand, says the table's trigger, and tells so
 */
export async function tell(tx: Queryable, id: number, kind: string, data: object): Promise<number> {
  const [row] = await tx.query<{ seq: number }>(TELL, [id, kind, JSON.stringify(data)]);
  return row?.seq ?? 0;
}

const TELL = `
with
  held as materialized (
    select events, attempt, worker_id from cape_leases where issue_id = $1::int for no key update),
  next as materialized (
    select greatest(i.events, (select events from held), ${told('i.id')}) + 1 as seq
      from cape_issues i where i.id = $1::int),
  counted as (update cape_leases set events = next.seq from next where issue_id = $1::int)
insert into cape_events (issue_id, seq, attempt, worker_id, kind, data)
select $1::int, next.seq, (select attempt from held), (select worker_id from held), $2, $3::text::jsonb from next
returning seq`;

/** An event of a running attempt, whose token says that it is still ours. */
export interface Told {
  readonly id: number;
  readonly token: string;
  readonly kind: 'output' | 'progress' | 'log' | 'metadata' | 'result';
  readonly data: object;
}

export interface Appended {
  readonly id: number;
  readonly token: string;
  /**
   * - `ok`: all of its events are written
   * - `busy`: somebody has the lease locked (a renewal, for an instant); none is written, try again
   * - `lost`: the attempt is no longer ours; none is written
   */
  readonly state: 'ok' | 'busy' | 'lost';
  /** The number before its first event; null where none is written. */
  readonly before: number | null;
}

/**
 * Appends events of running attempts, in the order given, with one statement. Never waits for a lock: somebody's open
 * transaction on one issue must not hold up the output of the others.
 * @returns an answer for each attempt
 */
export async function append(db: Queryable, events: readonly Told[]): Promise<Appended[]> {
  if (events.length === 0) return [];
  return db.query(APPEND, [storable(JSON.stringify(events)), arrayOf(new Set(events.map(({ id }) => id)))]);
}

/** Postgres' jsonb refuses NUL and halves of surrogate pairs. JSON.stringify writes both as escapes, and no whole pair so. */
function storable(json: string): string {
  return json.replace(/\\\\|\\u0000|\\ud[89a-f][0-9a-f]{2}/g, (found) => (found === '\\\\' ? found : '\\ufffd'));
}

const APPEND = `
with
  given as materialized (
    select id, token, kind, data, (row_number() over (partition by id, token order by place))::int as nth
      from rows from (json_to_recordset($1::text::json) as (id int, token uuid, kind text, data jsonb))
           with ordinality as g(id, token, kind, data, place)),
  attempts as materialized (select id, token, max(nth) as events from given group by id, token),
  held as materialized (select issue_id, token from cape_leases where issue_id = any($2::int[])),
  locked as materialized (
    select l.issue_id from cape_leases l join attempts a on a.id = l.issue_id and a.token = l.token
     where l.issue_id = any($2::int[]) order by l.issue_id for no key update of l skip locked),
  counted as (
    update cape_leases l set events = l.events + a.events from attempts a
     where l.issue_id = any(array(select issue_id from locked)) and a.id = l.issue_id and a.token = l.token
    returning l.issue_id, l.token, l.attempt, l.worker_id, l.events - a.events as before),
  told as (
    insert into cape_events (issue_id, seq, attempt, worker_id, kind, data)
    select c.issue_id, c.before + g.nth, c.attempt, c.worker_id, g.kind, g.data
      from counted c join given g on g.id = c.issue_id and g.token = c.token
    ${UNLESS_TOLD})
select a.id, a.token, c.before, case when c.issue_id is not null then 'ok' when h.issue_id is not null then 'busy' else 'lost' end as state
  from attempts a
  left join counted c on c.issue_id = a.id and c.token = a.token
  left join held h on h.issue_id = a.id and h.token = a.token`;

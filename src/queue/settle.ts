/** Writing back what came of attempts. Only the holder of the token may; everybody else hears "lost". */
import { CRASH_CAP, type Status } from '../core/issue.js';
import type { Outcome, Verdict } from '../core/outcome.js';
import { arrayOf, type Param, type Queryable } from '../db/connect.js';
import { tellBy, telling } from '../events/append.js';
import { LEASE_COLUMNS, statusAfter, writeEnded } from './ended.js';

/** An attempt in our hands: the fence of every write. */
export interface Held {
  readonly id: number;
  readonly token: string;
}

export interface Settlement extends Held {
  readonly verdict: Verdict;
  readonly outcome: Outcome;
  readonly logPath: string | null;
  /** The host that has the log file. */
  readonly logHost: string | null;
}

export interface Settled {
  readonly id: number;
  /**
   * The issue's status now; or `busy`: the attempt is still ours, but somebody has the issue's row locked (a transaction
   * of another program, for an instant also another worker's claim): try again; or `lost`: nothing was written.
   */
  readonly status: Status | 'busy' | 'lost';
}

/**
 * Ends attempts in one statement. An issue may be named once.
 * Fails as a whole where one row can't be written (`failureOf(error).kind` is then `data`): settle one by one, and at the
 * last `stripText`.
 */
export async function settle(db: Queryable, settlements: readonly Settlement[]): Promise<Settled[]> {
  return settledFrom(await tellBy<Settled>(db, SETTLE, settleParams(settlements)), settlements);
}

/** The same end without the command's own texts, for a database that refuses them (an encoding other than UTF-8). */
export function stripText(settlement: Settlement): Settlement {
  const { kind, exitCode, signal } = settlement.outcome;
  const error = kind === 'succeeded' ? null : `${kind}; its texts could not be stored`;
  return { ...settlement, logPath: null, outcome: { kind, exitCode, signal, error } };
}

/**
 * What became of settlements whose answer got lost. `held`: not written, send it again; `lost`: the attempt was taken
 * from us, and history says something else of it, such as a rescuer's `crashed`. Asking comes before sending again: a
 * settlement that was written finds no lease and would be told "lost".
 */
export async function settledOrHeld(
  db: Queryable,
  attempts: readonly (Held & { readonly outcome: Pick<Outcome, 'kind'> })[],
): Promise<(Held & { state: 'settled' | 'held' | 'lost' })[]> {
  return db.query(SETTLED_OR_HELD, [...heldParams(attempts), arrayOf(attempts.map(({ outcome }) => outcome.kind))]);
}

/** The two parameters `ids::int[], tokens::uuid[]` of statements on attempts in our hands. */
export function heldParams(attempts: readonly Held[]): Param[] {
  return [arrayOf(attempts.map(({ id }) => id)), arrayOf(attempts.map(({ token }) => token))];
}

/** The two parameters that `settleSteps` numbers: all ends as one JSON text, and the ids of all. */
export function settleParams(settlements: readonly Settlement[]): Param[] {
  return [endsOf(settlements), arrayOf(settlements.map(({ id }) => id))];
}

/** All answers, from the `settled` of a statement that had `settleParams(settlements)`. */
export function settledFrom(told: readonly Settled[], settlements: readonly Settlement[]): Settled[] {
  const otherwise = new Map(told.map(({ id, status }) => [id, status]));
  return settlements
    .filter(({ verdict }) => verdict.action !== 'nothing')
    .map(({ id, verdict }) => ({ id, status: otherwise.get(id) ?? statusWanted(verdict) }));
}

/**
 * The ends of attempts as a JSON array; of those that are alike in all but the issue, as handlers without a result leave
 * them, one for all. Reading a row's JSON took 4 of the 21 us that an issue's end takes in a batch.
 */
function endsOf(settlements: readonly Settlement[]): string {
  const ids = new Map<string, number[]>();
  let before: Settlement | null = null;
  let alike: number[] = [];
  for (const settlement of settlements) {
    if (settlement.verdict.action === 'nothing') continue;
    if (before === null || !isAlike(settlement, before)) {
      const end = JSON.stringify(endOf(settlement));
      alike = ids.get(end) ?? [];
      ids.set(end, alike);
    }
    alike.push(settlement.id);
    before = settlement;
  }
  // As Postgres' literal, a string: an array in JSON is read by a parser of its own, 4 us more for an end.
  return `[${[...ids].map(([end, of]) => `{"ids":"${arrayOf(of)}",${end.slice(1)}`).join(',')}]`;
}

/** Told of the usual end of a handler alone, without writing both as JSON, which takes 0.9 us. */
function isAlike(one: Settlement, before: Settlement): boolean {
  return one.token === before.token && one.verdict === before.verdict && isPlain(one) && isPlain(before);
}

function isPlain({ outcome, logPath, logHost }: Settlement): boolean {
  const { kind, exitCode, signal, error, tail, result } = outcome;
  return kind === 'succeeded' && (exitCode ?? signal ?? error ?? tail ?? result ?? logPath ?? logHost ?? null) === null;
}

function endOf({ token, verdict, outcome, logPath, logHost }: Settlement): object {
  return {
    token,
    status: statusWanted(verdict),
    delay_ms: verdict.action === 'requeue' ? verdict.delayMs : 0,
    charge: verdict.action === 'nothing' ? 'none' : verdict.charge,
    outcome: outcome.kind,
    exit_code: outcome.exitCode ?? null,
    signal: outcome.signal ?? null,
    error: storable(outcome.error),
    tail: storable(outcome.tail),
    result: storable(outcome.result),
    log_path: storable(logPath),
    log_host: logHost,
  };
}

function statusWanted(verdict: Verdict): Status {
  return verdict.action === 'finish' ? verdict.status : 'pending';
}

/** Postgres' text refuses NUL, and its JSON half a surrogate pair: both become the replacement character. */
function storable(text: string | null | undefined): string | null {
  return text?.replace(/\0|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, '\ufffd') ?? null;
}

/**
 * What a verdict asks for. Not what it says of crashes: it was made from the count that the issue had when it was claimed,
 * and a worker that comes back late may since have taken one back (`reclassify`): chaos found issues that had failed by
 * the cap with two crashes.
 */
const STATUS = `case when v.charge <> 'crash' then v.status
  when locked.crashes + 1 >= ${CRASH_CAP} then 'failed' else 'pending' end`;

/**
 * Settling as CTEs; the last, `settled`, has a row for each settlement of which something else came than the status that
 * it asked for, hence none as a rule. Two parameters, the first numbered `p`.
 *
 * "Not written" is not "lost": a claim with an older snapshot locks the newest version of rows that another claim has
 * just taken and holds them until its end, so SKIP LOCKED skips rows of our own (58 to 300 of 20,000 in a plain drain).
 * Hence the look at the leases as they were before: still there, but the issue not locked by us, means busy.
 */
export function settleSteps(p: number, unlessTold: string): string {
  const ids = `$${p + 1}::int[]`;
  return `
  verdicts as materialized (
    select unnest(ids) as id, token, status, delay_ms, charge, outcome, exit_code, signal, error, tail, result, log_path,
           log_host
      from json_to_recordset($${p}::text::json) as v(ids int[], token uuid, status text, delay_ms float8, charge text,
        outcome text, exit_code int, signal text, error text, tail text, result text, log_path text, log_host text)),
  locked as materialized (
    select id, status, crashes, events from cape_issues where id = any(${ids}) order by id for no key update skip locked),
  ended as (
    delete from cape_leases l using verdicts v join locked using (id)
     where l.issue_id = any(${ids}) and l.issue_id = v.id and l.token = v.token
    returning ${LEASE_COLUMNS}, ${statusAfter(STATUS)}, v.delay_ms, v.charge, v.outcome, v.exit_code, v.signal, v.error,
              v.tail, v.result, v.log_path, v.log_host),
  ${writeEnded(ids, 'settled', unlessTold)},
  settled as (
    select v.id, coalesce(ended.status,
             case when v.id not in (select id from locked)
                   and exists (select from cape_leases l where l.issue_id = v.id and l.token = v.token)
                  then 'busy' else 'lost' end) as status
      from verdicts v left join ended on ended.issue_id = v.id
     where ended.status is distinct from v.status)`;
}

const SETTLE = telling((unlessTold) => `with ${settleSteps(1, unlessTold)} select id, status from settled`);

// An attempt is found through its issue: the key of cape_attempts begins with it, and there is no index on tokens.
const SETTLED_OR_HELD = `
  select v.id, v.token, case when a.token is not null then 'settled' when l.token is not null then 'held' else 'lost' end as state
    from unnest($1::int[], $2::uuid[], $3::text[]) as v(id, token, outcome)
    left join (select issue_id, token, outcome from cape_attempts where issue_id = any($1::int[])) a
      on a.issue_id = v.id and a.token = v.token and a.outcome = v.outcome
    left join (select issue_id, token from cape_leases where issue_id = any($1::int[])) l
      on l.issue_id = v.id and l.token = v.token`;

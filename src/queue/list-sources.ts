/**
 * Where rows of a status are found, newest first. No index serves all of them, since a plain INSERT and a claim would pay
 * for it; but every row is in one of three places: waiting (the claim's indexes), in hand (the leases), and all others
 * (`cape_issues_ended`).
 */
import type { Status } from '../core/issue.js';

/** A place to read from: its ids, newest first. */
export interface Source {
  /**
   * The ids below $1, descending, the first `window` of them. The number stands in the text: as a parameter the planner
   * takes it for a tenth of the table, and sorts that.
   */
  readonly ids: (window: number) => string;
  /** What rows of these ids are wanted; null = whatever their status. */
  readonly statuses: readonly Status[] | null;
  /** A condition under which the source can't tell: a column `unknown` of the answer. */
  readonly unknown?: string;
  /** Nothing lies between its ids: then a range of the key reads them in a fifth of the time that one by one takes. */
  readonly dense?: true;
  /** CTEs that `ids` and `unknown` read. */
  readonly steps?: string;
}

/** Every row, by the primary key. */
export function everything(statuses: readonly Status[] | null): Source {
  return {
    ids: (window) => `select id from cape_issues where id < $1 order by id desc limit ${window}`,
    statuses,
    dense: true,
  };
}

/** Rows in hand. Started ones mostly; others where somebody wrote their status while they ran. */
export function inHand(statuses: readonly Status[]): Source {
  return {
    ids: (window) =>
      `select issue_id as id from cape_leases where issue_id < $1 order by issue_id desc limit ${window}`,
    statuses,
  };
}

/**
 * Rows of a status other than pending that nobody holds. The comparisons say `=` in a way that the planner does not see
 * through: told that the status is one, it may walk the primary key instead, past a million others.
 */
export function ended(status: Status): Source {
  return {
    ids: (window) => `
      select id from cape_issues
       where not leased and status <> 'pending' and (status, id) < ('${status}', $1) and status >= '${status}'
       order by status desc, id desc limit ${window}`,
    statuses: [status],
  };
}

/** Of each kind of waiting rows so many are read at most. */
export const FEW = 1000;
/** Of parked ones, where those of one worker are looked for: no index tells them apart. */
const PARKED = 5000;

const KEY = '(-priority::int), created_at, id';
const OPEN = `status = 'pending' and run_at is null and not leased and assigned_worker_id`;

/** CTEs that end in `waiting` (ids), and whether any of them reached its limit. */
interface Waiting {
  readonly steps: string;
  readonly unknown: string;
}

const ANYBODYS: Waiting = {
  steps: `
  open as materialized (select id from cape_issues where ${OPEN} is null order by ${KEY} limit ${FEW + 1}),
  directed as materialized (
    select id from cape_issues where ${OPEN} is not null order by assigned_worker_id, ${KEY} limit ${FEW + 1}),
  parked as materialized (
    select id from cape_issues where status = 'pending' and run_at is not null order by run_at limit ${FEW + 1}),
  waiting as (select id from open union all select id from directed union all select id from parked)`,
  unknown: `${['open', 'directed', 'parked'].map((name) => `(select count(*) from ${name}) > ${FEW}`).join(' or ')}`,
};

const OF_ONE_WORKER: Waiting = {
  steps: `
  directed as materialized (select id from cape_issues where ${OPEN} = $3 order by ${KEY} limit ${FEW + 1}),
  parked as materialized (
    select id, assigned_worker_id as worker from cape_issues
     where status = 'pending' and run_at is not null order by run_at limit ${PARKED + 1}),
  waiting as (select id from directed union all select id from parked where worker = $3)`,
  unknown: `(select count(*) from directed) > ${FEW} or (select count(*) from parked) > ${PARKED}`,
};

/**
 * Rows that wait, where they are few: all are read, and put in order. They lie in the claim's order, so of many the newest
 * can't be told. @param directed only those directed to $3
 */
export function waiting(directed: boolean): Source {
  return {
    ...(directed ? OF_ONE_WORKER : ANYBODYS),
    ids: (window) => `select id from waiting where id < $1 order by id desc limit ${window}`,
    statuses: ['pending'],
  };
}

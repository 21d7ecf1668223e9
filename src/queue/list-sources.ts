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
export const FEW = 2000;

/**
 * Rows that wait, where they are few: all are read, and put in order. They lie in the claim's order, so of many the newest
 * can't be told. @param directed only those directed to $3
 */
export function waiting(directed: boolean): Source {
  const part = (condition: string, order: string) => `
    (select id from cape_issues where status = 'pending' and ${condition} order by ${order} limit ${FEW + 1})`;
  const order = '(-priority::int), created_at, id';
  const open = 'run_at is null and not leased and assigned_worker_id';
  const parts = [
    directed ? part(`${open} = $3`, order) : part(`${open} is null`, order),
    ...(directed ? [] : [part(`${open} is not null`, `assigned_worker_id, ${order}`)]),
    part('run_at is not null', 'run_at'),
  ];
  return {
    steps: parts.map((text, n) => `part${n} as materialized ${text}`).join(', '),
    ids: (window) => `
      select id from (${parts.map((_, n) => `select id from part${n}`).join(' union all ')}) waiting
       where id < $1 order by id desc limit ${window}`,
    unknown: parts.map((_, n) => `(select count(*) from part${n}) > ${FEW}`).join(' or '),
    statuses: ['pending'],
  };
}

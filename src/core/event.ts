/** The vocabulary of events: what happened to an issue, as `cape_events` keeps it and readers are given it. */
import { CapeError } from './errors.js';
import { isFinal, type Status } from './issue.js';

/**
 * - `queued`: no row of the table; readers make it from the issue's own row, with seq 0
 * - `started`, `output`, `progress`, `log`, `metadata`, `result`: of a running attempt
 * - `cancel_asked`: it is running, and its worker is to end it
 * - `completed`, `failed`, `cancelled`: the issue's end
 * - `retry`: pending again after a failure or a snooze, or because a person asked
 * - `released`: pending again and uncharged, after a shutdown or an outage
 * - `rescued`: pending again, taken from a worker that was gone
 * - `lost`: a worker came back late, and what was booked as its crash was an interruption
 * - `assigned`: directed to a worker, or to any
 * - `by_hand`: somebody wrote another status into the row
 */
export const EVENT_KINDS = [
  'queued',
  'started',
  'output',
  'progress',
  'log',
  'metadata',
  'result',
  'cancel_asked',
  'completed',
  'failed',
  'cancelled',
  'retry',
  'released',
  'rescued',
  'lost',
  'assigned',
  'by_hand',
] as const;
export type EventKind = (typeof EVENT_KINDS)[number];

/** One event, complete. What `data` holds for each kind: docs/events.md. */
export interface IssueEvent {
  readonly issue_id: number;
  /** Counts the issue's own events, from 1; 0 is `queued`. */
  readonly seq: number;
  /** Its place among the events of all issues, `<xid>.<issue>.<seq>`; of `queued` it is `0.<issue>.0`. */
  readonly cursor: string;
  readonly at: Date;
  /** The attempt that it belongs to, null where it belongs to none. */
  readonly attempt: number | null;
  readonly worker_id: string | null;
  readonly kind: EventKind;
  readonly data: Readonly<Record<string, unknown>>;
}

/** A place in the order of all events. */
export interface Place {
  /** A transaction's number; it has more digits than a JavaScript number holds. */
  readonly xid: string;
  readonly issue: number;
  readonly seq: number;
}

/** The place that a cursor names. @throws CapeError `usage` for anything else */
export function placeOf(cursor: string): Place {
  const [, xid, issue, seq] = /^(\d{1,20})\.(\d{1,10})\.(\d{1,10})$/.exec(cursor) ?? [];
  const [id, number] = [Number(issue), Number(seq)];
  if (xid === undefined || BigInt(xid) > LARGEST_XID || id > LARGEST_INT || number > LARGEST_INT)
    throw new CapeError(
      'usage',
      `cursor "${cursor.slice(0, 100)}" is none; it looks like 1234.7.3, as an event has it`,
    );
  return { xid, issue: id, seq: number };
}

const LARGEST_XID = 2n ** 64n - 1n;
const LARGEST_INT = 2 ** 31 - 1;

export function cursorOf({ xid, issue, seq }: Place): string {
  return `${xid}.${issue}.${seq}`;
}

/** True where the event ended its issue: nothing more happens to it by itself. */
export function isEnd({ kind, data }: Pick<IssueEvent, 'kind' | 'data'>): boolean {
  return isFinal((kind === 'by_hand' ? data.to : kind) as Status);
}

/**
 * The vocabulary of an issue: its statuses, the moves between them, and the shape of its rows.
 * Field names are the column names, since the table is a contract that people know from SQL.
 */
import * as z from 'zod';

/** In the order of an issue's life; the last three are ends. */
export const STATUSES = ['pending', 'started', 'completed', 'failed', 'cancelled'] as const;
export type Status = (typeof STATUSES)[number];

/**
 * The moves that our own statements make. A person may set any status by hand; a trigger then makes the row consistent.
 * `started -> pending` is a release or a retry; a final status goes back to pending only by `issues retry`.
 */
export const TRANSITIONS: Readonly<Record<Status, readonly Status[]>> = {
  pending: ['started', 'cancelled'],
  started: ['completed', 'failed', 'cancelled', 'pending'],
  completed: ['pending'],
  failed: ['pending'],
  cancelled: ['pending'],
};

/** True where the issue has ended: nothing more happens to it by itself. */
export function isFinal(status: Status): boolean {
  return status === 'completed' || status === 'failed' || status === 'cancelled';
}

/** Crashes of the worker that an issue may cause before it ends failed: one that kills its worker must stop too. */
export const CRASH_CAP = 3;

/** Worker ids: also part of file names, unit names and log lines, hence the narrow alphabet and no `..`. */
export const workerIdSchema = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/, {
    error: 'must be 1 to 100 letters, digits, ".", "_" or "-", beginning with a letter or digit',
  })
  .refine((id) => !id.includes('..'), { error: 'must not contain ".."' });

/** A row of `cape_issues`, as the client returns it. Times are JavaScript dates. */
export interface Issue {
  readonly id: number;
  readonly description: string;
  readonly status: Status;
  /** Who it is directed to while pending; who runs or ran it afterwards. */
  readonly assigned_worker_id: string | null;
  readonly created_at: Date;
  readonly updated_at: Date;
  /** The latest start; null again after a release. */
  readonly started_at: Date | null;
  /** When a final status was reached. */
  readonly completed_at: Date | null;
  /** Higher runs first, -32768 to 32767. */
  readonly priority: number;
  /** Parked until then (a retry's pause, or asked for); null = may be claimed now. */
  readonly run_at: Date | null;
  /** The worker it was directed to, remembered while it runs. */
  readonly target_worker_id: string | null;
  /** Failures allowed; 0 = no limit; null, or a negative one written by hand = the worker's `--max-attempts`. */
  readonly max_attempts: number | null;
  /** Seconds a run may take; null = the worker's `--timeout`. */
  readonly timeout_seconds: number | null;
  /** Number of the latest attempt; grows for ever and names the log file. */
  readonly attempt: number;
  readonly failures: number;
  readonly crashes: number;
  readonly snoozes: number;
  /** Grows with every `issues retry`: part of the idempotency key. */
  readonly generation: number;
  readonly result: string | null;
  readonly last_error: string | null;
  /** What kind of work this is; `command` today. */
  readonly type: string;
  readonly params: unknown;
  /** Given by `issues add --key`: at most one unfinished issue has it. */
  readonly key: string | null;
}

/** What a worker needs of an issue that it has claimed. */
export interface ClaimedIssue {
  readonly id: number;
  readonly description: string;
  readonly priority: number;
  /** Text, with its microseconds: it is a key of the claim's order, and a Date would round it. */
  readonly created_at: string;
  readonly type: string;
  readonly params: unknown;
  readonly timeout_seconds: number | null;
  readonly max_attempts: number | null;
  /** This and the next two: how often before this attempt. */
  readonly failures: number;
  readonly crashes: number;
  readonly snoozes: number;
  readonly generation: number;
  /** True where the row was directed to this worker. */
  readonly directed: boolean;
}

/** One issue in this worker's hands: who may write what comes of it is decided by the token. */
export interface Claim {
  readonly issue: ClaimedIssue;
  readonly attempt: number;
  readonly token: string;
}

/** An attempt as history keeps it (or, while it runs, as its lease tells it: `ended_at` and `outcome` are null then). */
export interface Attempt {
  readonly issue_id: number;
  readonly attempt: number;
  readonly worker_id: string;
  readonly started_at: Date;
  readonly ended_at: Date | null;
  /** One of OUTCOMES, or `crashed`: its worker was gone. */
  readonly outcome: string | null;
  readonly exit_code: number | null;
  readonly signal: string | null;
  readonly error: string | null;
  /** The last 8 KiB of the output. */
  readonly tail: string | null;
  /** The log file, on `log_host`. */
  readonly log_path: string | null;
  readonly log_host: string | null;
}

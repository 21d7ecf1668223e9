/**
 * How an attempt ended (Outcome), and what becomes of the issue (Verdict). Both are plain values; `decide` is pure,
 * so every rule of retrying can be read and tested here, without a database or a process.
 */
import { CRASH_CAP, type Status } from './issue.js';

/**
 * - `succeeded`: exit 0, or the handler returned
 * - `failed`: any other end of its own, a signal that we did not send among them
 * - `timed_out`: outlived `--timeout` or `--idle-timeout`; a failure
 * - `cancelled`: ended because somebody cancelled the issue
 * - `interrupted`: ended by a shutdown, or because the lease could not be confirmed in time; costs the issue nothing
 * - `crashed`: the worker or the helper that guards commands died under it; counted apart, since an issue may be the cause
 * - `lost`: the attempt is no longer ours (another has it, it was deleted), or its end can't be proven; nothing may be written
 * - `invalid`: refused for good, trying again is pointless (exit 64, 65, 78; a description that no argument can hold)
 * - `snoozed`: exit 75, "not now"; costs nothing
 * - `unrunnable`: our own exec of the command failed; the host's or the worker's fault, never the issue's
 */
export const OUTCOMES = [
  'succeeded',
  'failed',
  'timed_out',
  'cancelled',
  'interrupted',
  'crashed',
  'lost',
  'invalid',
  'snoozed',
  'unrunnable',
] as const;
export type OutcomeKind = (typeof OUTCOMES)[number];

export interface Outcome {
  readonly kind: OutcomeKind;
  readonly exitCode?: number | null;
  readonly signal?: string | null;
  /** One line for people, where it did not succeed. */
  readonly error?: string | null;
  /** What the run produced, where it succeeded. */
  readonly result?: string | null;
  /** The end of the output, already cut and cleaned. */
  readonly tail?: string | null;
}

/** How a command's process ended, as the kernel told it. Exactly one of the two is set. */
export interface Exit {
  readonly code: number | null;
  readonly signal: string | null;
}

/** Which exit codes mean "never again" and which "not now"; 0 always means done and everything else is a failure. */
export interface ExitCodes {
  readonly invalid: readonly number[];
  readonly snooze: readonly number[];
}

/** Names the outcome of an exit that the command itself chose (not one that we forced). */
export function outcomeOfExit(exit: Exit, codes: ExitCodes): Outcome {
  const base = { exitCode: exit.code, signal: exit.signal };
  if (exit.signal !== null)
    return { kind: 'failed', ...base, error: `ended by ${exit.signal}, which the worker did not send` };
  const code = exit.code ?? 0;
  if (code === 0) return { kind: 'succeeded', ...base };
  if (codes.invalid.includes(code)) return { kind: 'invalid', ...base, error: `exit code ${code}: refused for good` };
  if (codes.snooze.includes(code))
    return { kind: 'snoozed', ...base, error: `exit code ${code}: not now, to be tried again` };
  return { kind: 'failed', ...base, error: `exit code ${code}` };
}

/** What an attempt is charged to. Limits are kept apart, since stopping is not failing. */
export type Charge = 'failure' | 'crash' | 'snooze' | 'none';

export type Verdict =
  | {
      readonly action: 'finish';
      readonly status: Extract<Status, 'completed' | 'failed' | 'cancelled'>;
      readonly charge: Charge;
    }
  | { readonly action: 'requeue'; readonly delayMs: number; readonly charge: Charge }
  /** The attempt is not ours any more: there is nothing that we may write. */
  | { readonly action: 'nothing' };

export interface RetryPolicy {
  /** Failures before an issue ends failed; 0 = no limit. An issue's own `max_attempts` goes before. */
  readonly maxAttempts: number;
  /** Pause after the first failure, milliseconds. */
  readonly baseMs: number;
  /** No pause is longer than this before jitter, milliseconds. */
  readonly capMs: number;
  /** How long an issue waits that could not be started through no fault of its own, milliseconds. */
  readonly unrunnableMs: number;
}

/** The counts of an issue before this attempt. */
export interface Counts {
  readonly failures: number;
  readonly crashes: number;
  readonly snoozes: number;
  /** Its own limit of failures, 0 = none; null or negative = the policy's. */
  readonly max_attempts: number | null;
}

/** Spread of every pause: +-20 %, so that issues that failed together do not come back together. */
export const JITTER = 0.2;

/**
 * `min(cap, base * 2^(n-1))` with +-20 % jitter, whole milliseconds.
 * @param n how many times it has happened, this one included (1 = first)
 * @param random a number in [0, 1)
 */
export function backoff(n: number, policy: Pick<RetryPolicy, 'baseMs' | 'capMs'>, random: number): number {
  // 2^1023 is the last finite power of two; the cap is reached long before.
  const grown = policy.baseMs * 2 ** Math.min(Math.max(n, 1) - 1, 1000);
  return Math.round(Math.min(policy.capMs, grown) * (1 - JITTER + 2 * JITTER * random));
}

/** One for all: what ended alike is told by it. */
const COMPLETED: Verdict = { action: 'finish', status: 'completed', charge: 'none' };

/** What becomes of an issue after an attempt. Pure: the database adds the delay to its own clock. */
export function decide(outcome: Pick<Outcome, 'kind'>, counts: Counts, policy: RetryPolicy, random: number): Verdict {
  switch (outcome.kind) {
    case 'succeeded':
      return COMPLETED;
    case 'cancelled':
      return { action: 'finish', status: 'cancelled', charge: 'none' };
    case 'invalid':
      return { action: 'finish', status: 'failed', charge: 'failure' };
    case 'failed':
    case 'timed_out': {
      const failures = counts.failures + 1;
      // The column knows no check: a negative one, written by hand, is nobody's wish to retry without end.
      const own = counts.max_attempts;
      const limit = own !== null && own >= 0 ? own : policy.maxAttempts;
      if (limit > 0 && failures >= limit) return { action: 'finish', status: 'failed', charge: 'failure' };
      return { action: 'requeue', delayMs: backoff(failures, policy, random), charge: 'failure' };
    }
    case 'snoozed':
      return { action: 'requeue', delayMs: backoff(counts.snoozes + 1, policy, random), charge: 'snooze' };
    case 'unrunnable':
      return { action: 'requeue', delayMs: policy.unrunnableMs, charge: 'none' };
    case 'interrupted':
      return { action: 'requeue', delayMs: 0, charge: 'none' };
    case 'crashed':
      // As it looks from here: a crash of before may have been taken back meanwhile, so the statement that settles counts anew.
      if (counts.crashes + 1 >= CRASH_CAP) return { action: 'finish', status: 'failed', charge: 'crash' };
      return { action: 'requeue', delayMs: 0, charge: 'crash' };
    case 'lost':
      return { action: 'nothing' };
  }
}

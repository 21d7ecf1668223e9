/** Runs a function of the embedding program in place of a command, behind the same Run. */
import { messageOf } from '../core/errors.js';
import type { Claim, ClaimedIssue } from '../core/issue.js';
import type { Outcome } from '../core/outcome.js';
import type { EndReason, Run } from '../execution/spec.js';
import type { Log } from '../log.js';

export interface HandlerContext {
  /** Number of this attempt, from 1; grows over all retries. */
  readonly attempt: number;
  /** Aborted when the attempt must end: timeout, cancel, shutdown, lost lease. `signal.reason` says which. */
  readonly signal: AbortSignal;
  readonly log: Log;
  /** The same over all attempts of an issue, new after a person's retry. */
  readonly idempotencyKey: string;
}

/**
 * Works on one issue. What it returns becomes the issue's result (a string as it is, anything else as JSON);
 * what it throws is a failure. A function can't be killed: its slot and its lease are held until it returns.
 */
export type Handler = (issue: ClaimedIssue, context: HandlerContext) => unknown;

// A longer one would fire at once: timers are 32 bits wide.
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** Starts a handler. @param timeoutMs after so long its signal is aborted and the attempt has timed out */
export function startHandler(
  handler: Handler,
  claim: Claim,
  parts: Omit<HandlerContext, 'attempt' | 'signal'>,
  timeoutMs: number,
): Run {
  const abort = new AbortController();
  let why: EndReason | null = null;
  const end = (reason: EndReason) => {
    if (why !== null) return;
    why = reason;
    abort.abort(reason);
  };
  const timer = setTimeout(() => end('timed_out'), Math.min(timeoutMs, LONGEST_TIMER_MS));
  const work = async () => handler(claim.issue, { ...parts, attempt: claim.attempt, signal: abort.signal });
  const ended = work()
    .then(
      (value): Outcome => ({ kind: 'succeeded', result: resultText(value) }),
      (error): Outcome => (why === null ? { kind: 'failed', error: messageOf(error) } : endedBy(why, timeoutMs)),
    )
    // An object without a prototype, say, has no text; unheard, this would end the whole process.
    .catch((): Outcome => ({ kind: 'failed', error: 'what the handler gave back, or threw, has no text' }))
    .finally(() => clearTimeout(timer));
  return { started: Promise.resolve(process.pid), ended, end, kill: () => end('interrupted') };
}

function endedBy(why: EndReason, timeoutMs: number): Outcome {
  if (why === 'cancelled') return { kind: 'cancelled', error: 'cancelled while it ran' };
  if (why === 'timed_out' || why === 'idle')
    return { kind: 'timed_out', error: `took longer than ${timeoutMs / 1000} s` };
  return {
    kind: 'interrupted',
    error: why === 'unconfirmed' ? 'the lease could not be confirmed in time' : 'the worker was stopped',
  };
}

/** A value that JSON can't hold (a cycle, a BigInt) is no reason to run an hour's work again. */
function resultText(value: unknown): string | null {
  if (value === undefined || value === null) return null;
  if (typeof value === 'string') return value;
  try {
    return JSON.stringify(value) ?? null;
  } catch {
    return String(value);
  }
}

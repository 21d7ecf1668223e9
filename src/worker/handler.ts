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
  return new HandlerRun(handler, claim, parts, timeoutMs);
}

const OURS = Promise.resolve(process.pid);

class HandlerRun implements Run {
  readonly started = OURS;
  readonly ended: Promise<Outcome>;
  readonly #timeoutMs: number;
  readonly #timer: NodeJS.Timeout;
  #why: EndReason | null = null;
  /** Made when it is asked for: most handlers never do, and it costs 3 us. */
  #abort: AbortController | null = null;

  constructor(handler: Handler, claim: Claim, parts: Omit<HandlerContext, 'attempt' | 'signal'>, timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
    this.#timer = setTimeout(() => this.end('timed_out'), Math.min(timeoutMs, LONGEST_TIMER_MS));
    const signal = () => this.#signal();
    const context: HandlerContext = {
      ...parts,
      attempt: claim.attempt,
      get signal() {
        return signal();
      },
    };
    this.ended = this.#work(handler, claim.issue, context);
  }

  /** The first reason wins. */
  end(reason: EndReason): void {
    if (this.#why !== null) return;
    this.#why = reason;
    this.#abort?.abort(reason);
  }

  kill(): void {
    this.end('interrupted');
  }

  #signal(): AbortSignal {
    if (this.#abort === null) {
      this.#abort = new AbortController();
      if (this.#why !== null) this.#abort.abort(this.#why);
    }
    return this.#abort.signal;
  }

  /** Never rejects: unheard, that would end the whole process. */
  async #work(handler: Handler, issue: ClaimedIssue, context: HandlerContext): Promise<Outcome> {
    let value: unknown;
    try {
      value = await handler(issue, context);
    } catch (error) {
      return this.#why === null ? failedBy(error) : endedBy(this.#why, this.#timeoutMs);
    } finally {
      clearTimeout(this.#timer);
    }
    return succeededWith(value);
  }
}

/** An object without a prototype, say. */
const NO_TEXT: Outcome = { kind: 'failed', error: 'what the handler gave back, or threw, has no text' };

function failedBy(error: unknown): Outcome {
  try {
    return { kind: 'failed', error: messageOf(error) };
  } catch {
    return NO_TEXT;
  }
}

function succeededWith(value: unknown): Outcome {
  try {
    return { kind: 'succeeded', result: resultText(value) };
  } catch {
    return NO_TEXT;
  }
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

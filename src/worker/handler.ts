/** Runs a function of the embedding program in place of a command, behind the same Run. */
import { messageOf } from '../core/errors.js';
import type { Claim, ClaimedIssue } from '../core/issue.js';
import type { Outcome } from '../core/outcome.js';
import { monotonic } from '../execution/clock.js';
import type { EndReason, Run } from '../execution/spec.js';
import type { Log } from '../log.js';
import { type ChildEvent, note, progress } from './child-events.js';

export interface HandlerContext {
  /** Number of this attempt, from 1; grows over all retries. */
  readonly attempt: number;
  /** Aborted when the attempt must end: timeout, cancel, shutdown, lost lease. `signal.reason` says which. */
  readonly signal: AbortSignal;
  readonly log: Log;
  /** The same over all attempts of an issue, new after a person's retry. */
  readonly idempotencyKey: string;
  /**
   * Tells how far it is, among the issue's events: `percent` from 0 to 100, or null. Costs the handler nothing; of several
   * in one instant the last is written.
   */
  readonly progress: (percent: number | null, message?: string) => void;
  /** Tells a line of its own among the issue's events. `log` is the worker's log. */
  readonly note: (message: string, level?: 'debug' | 'info' | 'warn' | 'error') => void;
}

/** What handlers tell goes there. */
export type Tell = (claim: Claim, event: ChildEvent) => void;

/**
 * Works on one issue. What it returns becomes the issue's result (a string as it is, anything else as JSON);
 * what it throws is a failure. A function can't be killed: its slot and its lease are held until it returns.
 */
export type Handler = (issue: ClaimedIssue, context: HandlerContext) => unknown;

// A longer one would fire at once: timers are 32 bits wide.
const LONGEST_TIMER_MS = 2 ** 31 - 1;

interface HandlerParts extends Pick<HandlerContext, 'log' | 'idempotencyKey'> {
  readonly tell: Tell;
}

/** Starts a handler. @param timeoutMs after so long its signal is aborted and the attempt has timed out */
export function startHandler(handler: Handler, claim: Claim, parts: HandlerParts, timeoutMs: number): Run {
  return new HandlerRun(handler, claim, parts, timeoutMs);
}

const OURS = Promise.resolve(process.pid);

class HandlerRun implements Run {
  readonly started = OURS;
  readonly ended: Promise<Outcome>;
  readonly #timeoutMs: number;
  readonly #since = monotonic();
  #over = false;
  #timer: NodeJS.Timeout | undefined;
  #why: EndReason | null = null;
  /** Made when it is asked for: most handlers never do, and it costs 3 us. */
  #abort: AbortController | null = null;

  constructor(handler: Handler, claim: Claim, parts: HandlerParts, timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
    this.ended = this.#work(handler, claim.issue, new Context(this, claim, parts));
    if (!this.#over) watchSoon(this);
  }

  get signal(): AbortSignal {
    if (this.#abort === null) {
      this.#abort = new AbortController();
      if (this.#why !== null) this.#abort.abort(this.#why);
    }
    return this.#abort.signal;
  }

  /** Ends it when its time is up. */
  watch(): void {
    if (this.#over) return;
    const left = this.#timeoutMs - (monotonic() - this.#since);
    this.#timer = setTimeout(() => this.end('timed_out'), Math.min(left, LONGEST_TIMER_MS));
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

  /** Never rejects: unheard, that would end the whole process. */
  async #work(handler: Handler, issue: ClaimedIssue, context: HandlerContext): Promise<Outcome> {
    let value: unknown;
    try {
      value = await handler(issue, context);
    } catch (error) {
      return this.#why === null ? failedBy(error) : endedBy(this.#why, this.#timeoutMs);
    } finally {
      this.#over = true;
      clearTimeout(this.#timer);
    }
    return succeededWith(value);
  }
}

/** What a handler is given beside its issue. */
class Context implements HandlerContext {
  readonly attempt: number;
  readonly log: Log;
  readonly idempotencyKey: string;
  declare readonly signal: AbortSignal;
  readonly #claim: Claim;
  readonly #tell: Tell;
  readonly #run: HandlerRun;

  /** One for all: objects with a getter of their own each cost ten times as much to make, and 700 bytes. */
  static readonly #SIGNAL = {
    enumerable: true,
    get(this: Context): AbortSignal {
      return this.#run.signal;
    },
  };

  constructor(run: HandlerRun, claim: Claim, parts: HandlerParts) {
    this.#run = run;
    this.#claim = claim;
    this.#tell = parts.tell;
    this.attempt = claim.attempt;
    this.log = parts.log;
    this.idempotencyKey = parts.idempotencyKey;
    // Its own and not its class's: `{ ...context }` has to have it.
    Object.defineProperty(this, 'signal', Context.#SIGNAL);
  }

  // Made when they are asked for, and of no `this`: handlers take their context apart.
  get progress(): HandlerContext['progress'] {
    return (percent, message) => this.#tell(this.#claim, progress(percent, message ?? null));
  }

  get note(): HandlerContext['note'] {
    return (message, level = 'info') => this.#tell(this.#claim, note(level, message));
  }
}

/** Began in this turn of the event loop. A timer costs half a microsecond, and most are over when the turn is. */
let fresh: HandlerRun[] = [];

function watchSoon(run: HandlerRun): void {
  fresh.push(run);
  if (fresh.length > 1) return;
  setImmediate(() => {
    const runs = fresh;
    fresh = [];
    for (const each of runs) each.watch();
  });
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

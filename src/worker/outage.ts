/** The database's comings and goings as a worker sees them: one log line per change and every few minutes, growing pauses between tries. */
import { backoff } from '../core/outcome.js';
import type { Failure } from '../db/failure.js';
import { monotonic } from '../execution/clock.js';
import type { Log } from '../log.js';
import { describe, stateOf } from './describe.js';

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 30_000;
/** Of the one connection that tries on behalf of all: so late at most is the return of the database noticed. */
export const SCOUT_PAUSE_MS = 5_000;
/** A wrong port looks like an outage that never ends: whoever opens the log an hour later is to find it there. */
const REPEAT_MS = 5 * 60_000;

/** The outage as it stands, for people. */
export interface Away {
  readonly since: Date;
  readonly words: string;
}

export class Outage {
  readonly #log: Log;
  readonly #onChange: (away: Away | null) => void;
  readonly #onFailed: (failure: Failure) => void;
  /** Who met a failure and has not succeeded since, and how to end their pause; they share a database but not a connection. */
  readonly #failing = new Map<string, () => void>();
  /** The states that were told in this outage, and when. Two loops may see two states in turn, for an hour. */
  readonly #told = new Map<string, number>();
  /** The latest state, whoever met it. */
  #state: string | null = null;
  /** Something failed, and nothing has been answered since. */
  #open = false;
  #since = 0;
  /** The same moment, for people. */
  #sinceDate = new Date();

  /**
   * @param onChange told of each new state of an outage, and null when it is over
   * @param onFailed told of every failure
   */
  constructor(
    log: Log,
    onChange: (away: Away | null) => void = () => {},
    onFailed: (failure: Failure) => void = () => {},
  ) {
    this.#onFailed = onFailed;
    this.#log = log;
    this.#onChange = onChange;
  }

  /** Called when everybody who failed has succeeded again. */
  onOver: (() => void) | null = null;

  /**
   * Notes a failure. The first of its state is logged, and one every five minutes after it: a line per try was 30,000
   * lines in a 20 s outage elsewhere.
   * @param wake ends the pause before `who` tries again; called when somebody else gets through
   */
  failed(who: string, failure: Failure, wake: () => void = () => {}): void {
    this.#onFailed(failure);
    const time = monotonic();
    if (!this.#open) {
      this.#open = true;
      this.#since = time;
      this.#sinceDate = new Date();
    }
    this.#failing.set(who, wake);
    const state = stateOf(failure);
    if (state !== this.#state) this.#onChange({ since: this.#sinceDate, words: describe(failure) });
    this.#state = state;
    const toldAt = this.#told.get(state);
    if (toldAt !== undefined && time - toldAt < REPEAT_MS) return;
    this.#told.set(state, time);
    const since = toldAt === undefined ? '' : ` since ${this.#sinceDate.toISOString()}`;
    this.#log.warn(`${describe(failure)}${since}; trying again until it is back`);
  }

  /** `who` has nothing to ask any more. That is no success: the next one of anybody ends the outage. */
  withdraw(who: string): void {
    this.#failing.delete(who);
  }

  /** Notes a success, which only a statement that was answered is. The end of the outage is said once everybody who failed has succeeded again. */
  over(who: string): void {
    if (this.#failing.delete(who)) for (const wake of this.#failing.values()) wake();
    if (!this.#open || this.#failing.size > 0) return;
    this.#open = false;
    this.#told.clear();
    this.#state = null;
    this.#onChange(null);
    this.#log.info(`the database is back after ${((monotonic() - this.#since) / 1000).toFixed(1)} s`);
    this.onOver?.();
  }
}

/**
 * Milliseconds before the next try: 0.1 s, doubling up to a cap, +-20 %, so that a fleet does not come back in step.
 * @param tries failures so far, from 0
 * @param capMs default 30 s: whoever has a scout waits longer, since it is woken
 */
export function pauseBeforeTry(tries: number, random: number, capMs: number = LONGEST_PAUSE_MS): number {
  return backoff(tries + 1, { baseMs: FIRST_PAUSE_MS, capMs }, random);
}

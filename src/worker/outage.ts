/** The database's comings and goings as a worker sees them: one log line per change and every few minutes, growing pauses between tries. */
import { backoff } from '../core/outcome.js';
import type { Failure } from '../db/failure.js';
import { now } from '../execution/clock.js';
import type { Log } from '../log.js';

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 30_000;
/** A wrong port looks like an outage that never ends: whoever opens the log an hour later is to find it there. */
const REPEAT_MS = 5 * 60_000;

export class Outage {
  readonly #log: Log;
  /** Who met a failure and has not succeeded since; they share a database but not a connection. */
  readonly #failing = new Set<string>();
  #said: string | null = null;
  #saidAt = 0;
  #since = 0;
  /** The same moment, for people. */
  #sinceDate = new Date();

  constructor(log: Log) {
    this.#log = log;
  }

  get ongoing(): boolean {
    return this.#failing.size > 0;
  }

  /**
   * Notes a failure. The first of its kind is logged, and one every five minutes after it: a line per try was 30,000
   * lines in a 20 s outage elsewhere.
   */
  failed(who: string, failure: Failure): void {
    const time = now().mono;
    if (this.#failing.size === 0) {
      this.#since = time;
      this.#sinceDate = new Date();
    }
    this.#failing.add(who);
    const again = this.#said === failure.kind;
    if (again && time - this.#saidAt < REPEAT_MS) return;
    this.#said = failure.kind;
    this.#saidAt = time;
    const since = again ? ` since ${this.#sinceDate.toISOString()}` : '';
    this.#log.warn(`${describe(failure)}${since}; trying again until it is back`);
  }

  /** Notes a success. The end of the outage is said once everybody who failed has succeeded again. */
  over(who: string): void {
    if (!this.#failing.delete(who) || this.#failing.size > 0) return;
    this.#said = null;
    this.#log.info(`the database is back after ${((now().mono - this.#since) / 1000).toFixed(1)} s`);
  }
}

/** Milliseconds before the next try: 0.1 s, doubling up to 30 s, +-20 %. @param tries failures so far, from 0 */
export function pauseBeforeTry(tries: number, random: number): number {
  return backoff(tries + 1, { baseMs: FIRST_PAUSE_MS, capMs: LONGEST_PAUSE_MS }, random);
}

/** A failure of the database in words that say what to do about it. */
export function describe(failure: Failure): string {
  switch (failure.kind) {
    case 'unreachable':
      return `the database is out of reach (${failure.message})`;
    case 'refused':
      return `the database refuses the login (${failure.message})`;
    case 'readonly':
      return 'the database is read-only: a standby, or a primary that was demoted';
    case 'schema':
      return `the tables are missing or older than this program (${failure.message}); run "cape-worker migrate"`;
    case 'permission':
      return `the database role lacks a right (${failure.message})`;
    default:
      return `the database refused a statement (${failure.message})`;
  }
}

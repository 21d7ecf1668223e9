/**
 * Holds claims back while our own exec of the command fails: the fault is the host's or the installation's, and one bad
 * script must not burn through a whole queue. After a pause that grows to a minute a single issue is let through.
 */
import { backoff } from '../core/outcome.js';
import { monotonic } from '../execution/clock.js';
import type { Log } from '../log.js';

const FIRST_PAUSE_MS = 2000;
const LONGEST_PAUSE_MS = 60_000;

export class Gate {
  readonly #log: Log;
  #failures = 0;
  #closedUntil = 0;

  constructor(log: Log) {
    this.#log = log;
  }

  /** A command could not be started at all. */
  failed(error: string): void {
    if (this.#failures === 0) {
      this.#log.error(`the command can't be started (${error}); no issue is charged, claiming pauses until one starts`);
    }
    this.#failures += 1;
    const pause = backoff(this.#failures, { baseMs: FIRST_PAUSE_MS, capMs: LONGEST_PAUSE_MS }, Math.random());
    this.#closedUntil = monotonic() + pause;
  }

  /** A command has started. */
  opened(): void {
    if (this.#failures > 0) this.#log.info('the command can be started again');
    this.#failures = 0;
  }

  /** How many issues may be claimed at once: none while closed, one as a probe, else any number. */
  limit(time: number): number {
    if (this.#failures === 0) return Number.POSITIVE_INFINITY;
    return time < this.#closedUntil ? 0 : 1;
  }

  /** When `limit` changes by itself, on the monotonic clock. */
  nextAt(time: number): number {
    return this.#failures > 0 && time < this.#closedUntil ? this.#closedUntil : Number.POSITIVE_INFINITY;
  }
}

/** Notices that the database is another server than before, where DATABASE_URL names several. */
import type { Log } from '../log.js';

export class Failover {
  /** Called once per failover, by whichever connection got there first. */
  onMoved: (() => void) | null = null;
  readonly #log: Log;
  #at: string | null = null;

  constructor(log: Log) {
    this.#log = log;
  }

  /** For `ConnectOptions.onMoved` of every connection of the worker. */
  readonly moved = (to: string, from: string): void => {
    if (to === this.#at) return;
    this.#at = to;
    this.#log.info(`the database is the one at ${to} now; it was ${from}`);
    this.onMoved?.();
  };
}

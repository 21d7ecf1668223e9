/**
 * What the keeper tells the worker, several things at a time. Each write wakes the worker, and what that does about an
 * end is a statement to the database which costs some 3 ms of processor time in both, the same for one end and for ten.
 */
import type { FromKeeper } from './protocol.js';

/** Longer than that nothing waits, milliseconds: what a keeper that is killed has not told is booked as a crash. */
const LATE_MS = 20;

export class Telling {
  readonly #write: (messages: readonly FromKeeper[]) => void;
  readonly #aboutToEnd: () => number;
  #unsaid: FromKeeper[] = [];
  #ends = 0;
  #soon: NodeJS.Immediate | undefined;
  #late: NodeJS.Timeout | undefined;

  /**
   * @param aboutToEnd how many commands may end in a moment: those that wait to be started, and those that were just now.
   *   While they are more than half of those that have ended, ends wait for them: a third of the slots keeps us at work
   *   for longer than a statement takes. Where commands take their time there are none, and each end is told at once.
   */
  constructor(write: (messages: readonly FromKeeper[]) => void, aboutToEnd: () => number) {
    this.#write = write;
    this.#aboutToEnd = aboutToEnd;
  }

  /** @param hurry not to wait for others */
  tell(message: FromKeeper, hurry = false): void {
    this.#unsaid.push(message);
    if (message.t === 'ended') this.#ends += 1;
    // Nobody waits to hear that a command has begun.
    const patient = message.t === 'started' || (message.t === 'ended' && !hurry && this.#ends < 2 * this.#aboutToEnd());
    if (patient) this.#late ??= setTimeout(() => this.flush(), LATE_MS);
    else this.#soon ??= setImmediate(() => this.flush());
  }

  flush(): void {
    clearTimeout(this.#late);
    clearImmediate(this.#soon);
    this.#late = undefined;
    this.#soon = undefined;
    this.#ends = 0;
    this.#write(this.#unsaid.splice(0));
  }
}

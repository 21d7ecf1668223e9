/**
 * Starts that wait for their turn in the keeper: one a turn of the loop. A start keeps it for 1 to 2 ms; all of one read
 * at once, and sixteen slots went in waves: nobody heard of an end, and a slot that it had freed stood empty, until the
 * last of them had begun.
 */
import type { ToKeeper } from './protocol.js';
import type { Deadline } from './spec.js';

export type Start = Extract<ToKeeper, { t: 'start' }>;

export class StartQueue {
  readonly #begin: (start: Start) => void;
  /** By run, in the order in which they came. */
  readonly #waiting = new Map<string, Start>();
  #due = false;

  /** @param begin called with each start in its turn */
  constructor(begin: (start: Start) => void) {
    this.#begin = begin;
  }

  /** How many wait. */
  get size(): number {
    return this.#waiting.size;
  }

  /** Begins it at once where nothing else has begun in this turn of the loop. */
  add(start: Start): void {
    this.#waiting.set(start.spec.id, start);
    if (!this.#due) this.#next();
  }

  /** A new deadline. @returns false where no such run waits */
  confirm(id: string, until: Deadline): boolean {
    const start = this.#waiting.get(id);
    if (start) this.#waiting.set(id, { ...start, until });
    return start !== undefined;
  }

  /** Takes it out. @returns false where no such run waits */
  remove(id: string): boolean {
    return this.#waiting.delete(id);
  }

  /** Takes all out. @returns their runs */
  clear(): string[] {
    const ids = [...this.#waiting.keys()];
    this.#waiting.clear();
    return ids;
  }

  #next(): void {
    const [start] = this.#waiting.values();
    this.#due = start !== undefined;
    if (!start) return;
    this.#waiting.delete(start.spec.id);
    setImmediate(() => this.#next());
    this.#begin(start);
  }
}

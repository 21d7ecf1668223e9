/** Keeps the worker's row telling which helper processes it has: what a successor must see dead before it takes over. */
import type { Queryable } from '../db/connect.js';
import { failureOf } from '../db/failure.js';
import type { Executor } from '../execution/spec.js';
import { setHelpers } from '../queue/workers.js';

/** Somebody has the worker's row locked. */
const BUSY_MS = 200;

export class HelperNote {
  readonly #db: Queryable;
  readonly #instance: string;
  readonly #executor: Executor;
  #stale = false;

  constructor(db: Queryable, instance: string, executor: Executor) {
    this.#db = db;
    this.#instance = instance;
    this.#executor = executor;
    executor.onHelpers = () => {
      this.#stale = true;
      this.write();
    };
  }

  /** Writes what is not written yet. A failure is made up for after the next renewal, a locked row sooner. */
  write(): void {
    if (!this.#stale) return;
    this.#stale = false;
    setHelpers(this.#db, this.#instance, this.#executor.helpers).then(
      (written) => {
        if (written) return;
        this.#stale = true;
        setTimeout(() => this.write(), BUSY_MS).unref(); // leaving takes the helpers out of the row anyway
      },
      (error) => {
        if (failureOf(error).code === null) throw error; // not the database's: a bug of ours
        this.#stale = true;
      },
    );
  }
}

/**
 * Rows that can't be claimed: a trigger or a constraint of somebody's own raises on one, or its attempt number is at its
 * end. One of them fails the claim of a whole batch, and at the head of the queue it would stop every worker. So after a
 * refusal rows are claimed one at a time until the one that fails is known; it is named, and passed over for a while.
 */
import type { Queryable } from '../db/connect.js';
import type { Failure } from '../db/failure.js';
import { monotonic } from '../execution/clock.js';
import type { Log } from '../log.js';
import { nextToClaim } from '../queue/claim.js';

/** Somebody may have mended it, or have taken the row that was looked for. */
const AGAIN_MS = 60_000;
/** With more of them it is not the rows: the table's rules have changed, or the program does not fit. */
const MOST = 200;
/** Of so many the log gives a line each. */
const NAMED = 20;

export class Unclaimable {
  readonly #db: Queryable;
  readonly #log: Log;
  /** By id: passed over until then, on the monotonic clock. */
  readonly #until = new Map<number, number>();
  readonly #told = new Set<number>();
  readonly #againMs: number;
  /** Claims are of one row each until then, on the monotonic clock. */
  #oneByOneUntil = 0;

  /** @param againMs how long a row is passed over, milliseconds; default a minute */
  constructor(db: Queryable, log: Log, againMs: number = AGAIN_MS) {
    this.#db = db;
    this.#log = log;
    this.#againMs = againMs;
  }

  /** The ids that claims pass over now. */
  except(): number[] {
    const time = monotonic();
    for (const [id, until] of this.#until) if (until <= time) this.#until.delete(id);
    return [...this.#until.keys()];
  }

  /** How many of `wanted` to claim at once. */
  limit(wanted: number): number {
    return monotonic() < this.#oneByOneUntil ? Math.min(1, wanted) : wanted;
  }

  /**
   * The server refused a claim of `limit` rows.
   * @param fromHead it looked from the head of the queue; behind a hint the row that failed is not the first one
   * @returns true where the queue is to be looked at again at once
   */
  async met({ message }: Failure, worker: string, limit: number, fromHead: boolean): Promise<boolean> {
    if (limit > 1) this.#oneByOneUntil = monotonic() + this.#againMs;
    if (limit > 1 || !fromHead) return true;
    this.#oneByOneUntil = 0;
    const except = this.except();
    // Another worker may have claimed since: then it is a good row that is passed over, for others to take.
    const id = except.length < MOST ? await nextToClaim(this.#db, worker, except) : null;
    if (id === null) return false;
    this.#until.set(id, monotonic() + this.#againMs);
    this.#tell(id, message);
    return true;
  }

  #tell(id: number, why: string): void {
    if (this.#told.has(id) || this.#told.size > NAMED) return;
    this.#told.add(id);
    const which = this.#told.size > NAMED ? `issue ${id}, and maybe more that are not named here` : `issue ${id}`;
    this.#log.error(`${which}: can't be claimed (${why}); others go on, and it is tried again every minute`);
  }
}

/**
 * Claims whose answer never came. The statement may have been committed, or may still be: its token is looked up until
 * no session can be executing it any more, and what it claimed is worked on. Forgotten, it would hold rows until their
 * lease ran out and be booked as a crash.
 */
import type { Queryable } from '../db/connect.js';
import { failureOf } from '../db/failure.js';
import { isPast, monotonic } from '../execution/clock.js';
import type { Deadline } from '../execution/spec.js';
import type { Log } from '../log.js';
import { claimedBy, stillExecuting } from '../queue/claim.js';
import type { Attempts } from './attempts.js';

interface Unclear {
  readonly token: string;
  readonly until: Deadline;
  readonly since: number;
  lookAt: number;
}

/** Longer than any statement may run on the server. */
const WATCHED_MS = 30_000;
const LOOK_EVERY_MS = 5000;
/** A worker that leaves looks more often, and no longer than somebody executes something. */
const LEAVING_LOOK_EVERY_MS = 250;
/** A statement that was sent needs a moment to be seen as executed. */
const ARRIVED_MS = 500;

export class UnclearClaims {
  readonly #db: Queryable;
  readonly #attempts: Attempts;
  readonly #log: Log;
  readonly #waiting = new Map<string, Unclear>();

  constructor(db: Queryable, attempts: Attempts, log: Log) {
    this.#db = db;
    this.#attempts = attempts;
    this.#log = log;
  }

  get nextAt(): number {
    return Math.min(...[...this.#waiting.values()].map((one) => one.lookAt), Number.POSITIVE_INFINITY);
  }

  due(time: number): boolean {
    return this.nextAt <= time;
  }

  /** True where a claim may still turn up. Left behind, its lease would run out and count as a crash of the worker. */
  get waiting(): boolean {
    return this.#waiting.size > 0;
  }

  /** The worker is about to leave: looks at once, and then often. */
  hurry(): void {
    for (const one of this.#waiting.values()) one.lookAt = 0;
  }

  /** Sends a claim and remembers its token where no answer comes. */
  async watch<A>(claim: { token: string; until: Deadline; wanted: boolean }, send: () => Promise<A>): Promise<A> {
    try {
      return await send();
    } catch (error) {
      const since = monotonic();
      if (claim.wanted && failureOf(error).unclear) {
        this.#waiting.set(claim.token, { token: claim.token, until: claim.until, since, lookAt: since });
      }
      throw error;
    }
  }

  /**
   * Looks the tokens up; what they claimed is started, or given back where no slot is free any more (other claims may
   * have been made since) or it is too late.
   * @param leaving the worker stops: each token is looked up until it is certain that nothing comes of it any more
   * @returns how many were started
   */
  async adopt(free: number, leaving = false): Promise<number> {
    const time = monotonic();
    let started = 0;
    const certain = leaving && !(await stillExecuting(this.#db));
    for (const one of [...this.#waiting.values()].filter((each) => each.lookAt <= time)) {
      const claims = await claimedBy(this.#db, one.token);
      for (const claim of claims) {
        this.#log.warn(`issue ${claim.issue.id}: the answer to its claim was lost, the claim was not`);
        if (started < free && !isPast(one.until)) {
          this.#attempts.take(claim, one.until);
          started += 1;
        } else this.#attempts.giveBack(claim, 'the answer to the claim was lost');
      }
      one.lookAt = time + (leaving ? LEAVING_LOOK_EVERY_MS : LOOK_EVERY_MS);
      const over = time - one.since > (certain ? ARRIVED_MS : WATCHED_MS);
      if (claims.length > 0 || over) this.#waiting.delete(one.token);
    }
    return started;
  }
}

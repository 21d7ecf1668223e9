/**
 * Takes issues whose lease ran out. Every worker does, there is no leader.
 *
 * A lease that looks expired may be the database's doing: its clock jumped, it failed over to a faster one, or it was
 * down for as long as the lease. So an expired lease is first remembered, then taken only where it is still the same
 * after the time that a live holder needs to renew it, or to end its run.
 */
import type { Queryable } from '../db/connect.js';
import { failureOf } from '../db/failure.js';
import { monotonic } from '../execution/clock.js';
import type { Log } from '../log.js';
import { expired, type Rescued, rescue, type SeenLease } from '../queue/rescue.js';
import { isRefusal } from './settle-one.js';

interface Suspect extends SeenLease {
  readonly since: number;
  /** Somebody's rule will not have it taken, which was said. */
  refused?: true;
}

export class Rescuer {
  readonly #db: Queryable;
  readonly #waitMs: number;
  readonly #log: Log;
  readonly #onRescued: (issues: number) => void;
  #suspects = new Map<string, Suspect>();

  /**
   * @param waitMs renewal + grace + margin, on this process's own clock
   * @param onRescued told how many were taken
   */
  constructor(db: Queryable, waitMs: number, log: Log, onRescued: (issues: number) => void = () => {}) {
    this.#onRescued = onRescued;
    this.#db = db;
    this.#waitMs = waitMs;
    this.#log = log;
  }

  async look(): Promise<void> {
    const time = monotonic();
    const found = await expired(this.#db);
    const suspects = new Map<string, Suspect>();
    for (const lease of found) {
      // Any renewal changes the time, and with it the key: the wait begins again.
      const key = `${lease.issue_id} ${lease.token} ${lease.lease_until}`;
      suspects.set(key, this.#suspects.get(key) ?? { ...lease, since: time });
    }
    this.#suspects = suspects;
    const ripe = [...suspects.values()].filter(({ since }) => time - since >= this.#waitMs);
    if (ripe.length === 0) return;
    const taken = await this.#take(ripe);
    if (taken.length > 0) this.#onRescued(taken.length);
    for (const { id, status, worker_id } of taken) {
      this.#log.warn(`issue ${id}: the lease of worker ${worker_id} ran out; now ${status}`);
    }
  }

  /** A row that the server will not have written (somebody's trigger or constraint) must not keep all others started. */
  async #take(ripe: readonly Suspect[]): Promise<Rescued[]> {
    try {
      return await rescue(this.#db, ripe);
    } catch (error) {
      if (!isRefusal(failureOf(error))) throw error;
    }
    const taken: Rescued[] = [];
    for (const one of ripe) taken.push(...(await this.#takeOne(one)));
    return taken;
  }

  async #takeOne(one: Suspect): Promise<Rescued[]> {
    try {
      return await rescue(this.#db, [one]);
    } catch (error) {
      const failure = failureOf(error);
      if (!isRefusal(failure)) throw error;
      // Said once for each lease; every look tries again.
      if (!one.refused)
        this.#log.error(
          `issue ${one.issue_id}: can't be taken from worker ${one.worker_id}, whose lease ran out: ${failure.message}; ` +
            'tried again until it can',
        );
      one.refused = true;
      return [];
    }
  }

  /** How soon it is worth looking again, milliseconds; infinite where nothing is suspected. */
  get nextMs(): number {
    const time = monotonic();
    return Math.min(
      ...[...this.#suspects.values()].map(({ since }) => since + this.#waitMs - time),
      Number.POSITIVE_INFINITY,
    );
  }
}

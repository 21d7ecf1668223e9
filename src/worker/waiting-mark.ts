/**
 * The mark that says "I wait: notify me". Inserts notify only while some worker carries one, since a NOTIFY in every
 * insert costs two thirds of the insert rate.
 *
 * The gap to close: an inserter saw nobody waiting and has not committed; we mark ourselves, claim (its row is not there
 * yet) and sleep; it commits in silence. So after marking the queue is looked at again until every writing transaction
 * older than the mark has ended, at growing pauses and without a cap: given up after 2 s, an inserter that committed
 * after 4 s was heard 6 s late; without a cap after 71 ms.
 */
import type { Queryable } from '../db/connect.js';
import { writersOlderThan } from '../db/horizon.js';
import { monotonic } from '../execution/clock.js';
import { clearWaiting, markWaiting } from '../queue/waiting.js';

const FIRST_PAUSE_MS = 10;
const LONGEST_PAUSE_MS = 80;
/** After so long the writer is a slow one: looking once a second is enough. */
const PATIENT_AFTER_MS = 2000;
const PATIENT_PAUSE_MS = 1000;
/** A busy worker's mark is cleared only after so long, or each short job would write twice. */
const STALE_MS = 1000;

export class WaitingMark {
  readonly #db: Queryable;
  readonly #instance: string;
  #marked = false;
  /** While set, transactions older than the mark may still commit in silence. */
  #horizon: string | null = null;
  #markedAt = 0;
  #pause = FIRST_PAUSE_MS;
  #lookAt = Number.POSITIVE_INFINITY;
  /** Null while a slot is free. */
  #staleAt: number | null = null;

  constructor(db: Queryable, instance: string) {
    this.#db = db;
    this.#instance = instance;
  }

  /** True while the heartbeat is to keep the mark alive. */
  get carried(): boolean {
    return this.#marked;
  }

  /** When `keep` or `clearIfStale` has something to do, on the monotonic clock. */
  get nextAt(): number {
    return this.#staleAt ?? this.#lookAt;
  }

  /** The database may have lost the mark, or time has passed it: mark again before trusting notifications. */
  forget(): void {
    this.#marked = false;
    this.#lookAt = Number.POSITIVE_INFINITY;
    this.#staleAt = null;
  }

  /**
   * Called when the queue looked empty. Marks, then watches the writers that may not have seen the mark.
   * @returns true where the queue must be looked at once more
   */
  async keep(time: number): Promise<boolean> {
    // A time that is left here and passes would leave its caller no time to sleep.
    this.#staleAt = null;
    if (!this.#marked) {
      this.#horizon = await markWaiting(this.#db, this.#instance);
      this.#marked = true;
      this.#markedAt = monotonic();
      this.#pause = FIRST_PAUSE_MS;
      this.#lookAt = this.#markedAt;
      return true;
    }
    if (this.#horizon === null || time < this.#lookAt) return false;
    // Asked before the look that follows: a look after the last old writer has ended sees what it wrote.
    const writing = await writersOlderThan(this.#db, this.#horizon);
    if (!writing) this.#horizon = null;
    this.#lookAt = writing ? monotonic() + this.#nextPause() : Number.POSITIVE_INFINITY;
    return true;
  }

  #nextPause(): number {
    if (monotonic() - this.#markedAt > PATIENT_AFTER_MS) return PATIENT_PAUSE_MS;
    const pause = this.#pause;
    this.#pause = Math.min(LONGEST_PAUSE_MS, pause * 2);
    return pause;
  }

  /** Called while no slot is free. */
  async clearIfStale(time: number): Promise<void> {
    if (!this.#marked) return;
    this.#staleAt ??= time + STALE_MS;
    if (time < this.#staleAt) return;
    this.forget();
    await clearWaiting(this.#db, this.#instance);
  }
}

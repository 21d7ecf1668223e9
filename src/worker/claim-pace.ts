/**
 * How many issues to claim. Commands get strict slots: what is claimed begins at once. For a handler, which may be done
 * in microseconds, claims ahead of a free slot keep node and Postgres at work at the same time, as many as a second's
 * work: with a slow handler, none.
 */
import type { Claim } from '../core/issue.js';
import { monotonic } from '../execution/clock.js';
import type { InHand, Suspects } from './suspects.js';

const WINDOW_MS = 1000;
/** What has waited so long stands behind handlers that became slow: it goes back, for others to take. */
export const LONGEST_WAIT_MS = 2000;
/** More at once would make a statement long without making it faster. */
const MOST_AT_ONCE = 500;
/** Times what has ended, at most: no-ops are claimed in full batches after three claims, without it after nine. */
const TRUSTED = 4;
/** Times what may be in hand. With 2, strict slots that are quicker than their settlement are a fifth slower. */
const MOST_UNWRITTEN = 4;

export class ClaimPace {
  readonly slots: number;
  readonly #most: number;
  readonly #suspects: Suspects | null;
  /** In this second: runs that ended within a second of their start, and ends that were written. */
  #ended = 0;
  #written = 0;
  /** The lesser of the two, in the second before. */
  #before = 0;
  #windowAt = Number.NEGATIVE_INFINITY;

  /**
   * @param most claims ahead at most; 0 = strict slots
   * @param suspects null where an issue can't end its worker (commands)
   */
  constructor(slots: number, most: number, suspects: Suspects | null) {
    this.slots = slots;
    this.#most = most;
    this.#suspects = suspects;
  }

  /** A run has ended. */
  ended(ranMs: number): void {
    if (this.#most === 0 || ranMs >= WINDOW_MS) return;
    this.#turnPage();
    this.#ended += 1;
  }

  /** An end was written. A database that takes none gets no further ones to refuse. */
  written(): void {
    if (this.#most === 0) return;
    this.#turnPage();
    this.#written += 1;
  }

  /** For how many there is room, whether or not it is time to claim: what is claimed already need not go back. */
  room({ running, waiting, ended }: InHand): number {
    if (this.#suspects?.alone) return running + waiting + ended === 0 ? 1 : 0;
    return this.slots + this.#ahead() - running - waiting;
  }

  /**
   * How many to claim now: none while much has ended that is not written yet, which would be run again should the process
   * crash.
   * @param putOff how many of those that have ended can't be written for now
   */
  limit(inHand: InHand, putOff = 0): number {
    const { waiting, ended } = inHand;
    const room = this.room(inHand);
    if (this.#suspects?.alone) return room;
    const ahead = this.#ahead();
    const unwritten = this.#suspects?.strict ? this.slots : MOST_UNWRITTEN * (this.slots + ahead);
    if (ended - putOff >= unwritten) return 0;
    if (ahead === 0) return room;
    // By halves: while handlers work on one, the next is under way. Less only where they would run out of work.
    const batch = Math.min(MOST_AT_ONCE, Math.ceil((this.slots + ahead) / 2));
    return room < batch && waiting > 0 ? 0 : Math.min(room, batch);
  }

  /** Takes in what was claimed. @returns what of it may begin, and what has to go back */
  answered(claims: readonly Claim[], inHand: InHand): { readonly begin: Claim[]; readonly back: Claim[] } {
    return this.#suspects?.sift(claims, inHand, this.slots) ?? { begin: [...claims], back: [] };
  }

  /** As many as end, and are written, within a second, at the rate so far; few say little of it. */
  #ahead(): number {
    if (this.#most === 0 || this.#suspects?.strict) return 0;
    const passed = this.#turnPage() / WINDOW_MS;
    const rate = this.#inSecond * Math.min(TRUSTED, 1 / passed);
    return Math.min(this.#most, Math.max(this.#before, Math.floor(rate)));
  }

  get #inSecond(): number {
    return Math.min(this.#ended, this.#written);
  }

  /** @returns how much of the window has passed, milliseconds */
  #turnPage(): number {
    const time = monotonic();
    const passed = time - this.#windowAt;
    if (passed < WINDOW_MS) return passed;
    this.#before = passed < 2 * WINDOW_MS ? this.#inSecond : 0;
    this.#ended = 0;
    this.#written = 0;
    this.#windowAt = time;
    return 0;
  }
}

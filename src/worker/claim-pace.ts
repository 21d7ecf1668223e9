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

export class ClaimPace {
  readonly slots: number;
  readonly #most: number;
  readonly #suspects: Suspects | null;
  /** Runs that ended within a second of their start: in the last whole second, and in this one. */
  #before = 0;
  #count = 0;
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
    this.#count += 1;
  }

  /** How many to claim now. */
  limit({ running, waiting, ended }: InHand): number {
    const alone = this.#suspects?.alone ?? false;
    if (alone) return running + waiting + ended === 0 ? 1 : 0;
    const ahead = this.#ahead();
    const room = this.slots + ahead - running - waiting;
    // By halves: while handlers work on one, the next is under way. What has ended is never more than two batches.
    const batch = Math.min(MOST_AT_ONCE, Math.ceil((this.slots + ahead) / 2));
    if (ahead === 0) return room;
    return ended > MOST_AT_ONCE ? 0 : Math.min(room, batch);
  }

  /** Takes in what was claimed. @returns what of it may begin, and what has to go back */
  answered(claims: readonly Claim[], inHand: InHand): { readonly begin: Claim[]; readonly back: Claim[] } {
    return this.#suspects?.sift(claims, inHand, this.slots) ?? { begin: [...claims], back: [] };
  }

  /** As many as have ended within a second. */
  #ahead(): number {
    if (this.#most === 0 || this.#suspects?.strict) return 0;
    this.#turnPage();
    return Math.min(this.#most, Math.max(this.#before, this.#count));
  }

  #turnPage(): void {
    const time = monotonic();
    if (time - this.#windowAt < WINDOW_MS) return;
    this.#before = time - this.#windowAt < 2 * WINDOW_MS ? this.#count : 0;
    this.#count = 0;
    this.#windowAt = time;
  }
}

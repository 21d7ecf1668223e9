/**
 * Issues that a worker has crashed under. A handler runs in the worker's own process and may be what ends it, and each
 * crash is charged to everything that the worker held. Hundreds of innocent neighbours must not reach the cap with it:
 * - where an issue has crashed once, nothing is claimed ahead
 * - where one more crash would end it, it runs by itself, so that the crash is charged to it alone
 */
import { type Claim, CRASH_CAP } from '../core/issue.js';

/** What is in hand when claims are to be made. */
export interface InHand {
  readonly running: number;
  readonly waiting: number;
  /** Ended and not written back. */
  readonly ended: number;
}

export class Suspects {
  #worst = 0;

  /** Nothing is to be claimed ahead. */
  get strict(): boolean {
    return this.#worst > 0;
  }

  /** One at a time, and only with nothing else in hand. */
  get alone(): boolean {
    return this.#worst >= CRASH_CAP - 1;
  }

  /** Judges by the last answer that had claims. @returns what may begin, and what has to go back uncharged */
  sift(claims: readonly Claim[], inHand: InHand, slots: number): { readonly begin: Claim[]; readonly back: Claim[] } {
    if (claims.length === 0) return { begin: [], back: [] };
    this.#worst = Math.max(...claims.map(({ issue }) => issue.crashes));
    const company = claims.length + inHand.running + inHand.waiting + inHand.ended > 1;
    const begin: Claim[] = [];
    const back: Claim[] = [];
    for (const claim of claims) {
      const onlyAlone = claim.issue.crashes >= CRASH_CAP - 1 && company;
      const full = this.strict && begin.length >= slots - inHand.running;
      (onlyAlone || full ? back : begin).push(claim);
    }
    return { begin, back };
  }
}

/**
 * Claims ahead of a free slot: they hold their lease and have not begun. Only a worker with a handler has any, since
 * each of its issues may take microseconds; behind an hour's command they would be stranded.
 */
import type { Claim } from '../core/issue.js';
import { monotonic } from '../execution/clock.js';
import type { Deadline } from '../execution/spec.js';

export interface WaitingClaim {
  readonly claim: Claim;
  /** As of a run: what begins later must be ended at once. Each renewal moves it. */
  until: Deadline;
  /** When it was taken, on the monotonic clock. */
  readonly at: number;
}

/** In the order in which they were claimed. */
export class ClaimQueue implements Iterable<WaitingClaim> {
  #claims: WaitingClaim[] = [];

  get size(): number {
    return this.#claims.length;
  }

  /** When the first was taken; infinite where there is none. */
  get since(): number {
    return this.#claims[0]?.at ?? Number.POSITIVE_INFINITY;
  }

  add(claim: Claim, until: Deadline): void {
    this.#claims.push({ claim, until, at: monotonic() });
  }

  next(): WaitingClaim | undefined {
    return this.#claims.shift();
  }

  /** @returns the claim, where it waited here */
  remove(id: number, token: string): Claim | undefined {
    const at = this.#claims.findIndex(({ claim }) => claim.issue.id === id && claim.token === token);
    return at < 0 ? undefined : this.#claims.splice(at, 1)[0]?.claim;
  }

  /** Takes out what was taken before then, on the monotonic clock. */
  leave(before: number): Claim[] {
    const [out, stay] = [this.#claims.filter(({ at }) => at < before), this.#claims.filter(({ at }) => at >= before)];
    this.#claims = stay;
    return out.map(({ claim }) => claim);
  }

  [Symbol.iterator](): Iterator<WaitingClaim> {
    return this.#claims.values();
  }
}

/**
 * One turn of the claim loop on its way to the database and back. For commands what has ended is settled and what may
 * start is claimed by one statement: one round trip, one commit. For handlers only the claim is made here, since a loop of
 * its own settles (settle-loop.ts).
 */
import type { Queryable } from '../db/connect.js';
import type { Deadline } from '../execution/spec.js';
import { type Claimed, type ClaimRequest, claim } from '../queue/claim.js';
import { settleAndClaim } from '../queue/settle-claim.js';
import type { Settler } from './settler.js';
import type { UnclearClaims } from './unclear-claims.js';

export interface ExchangeParts {
  readonly db: Queryable;
  /** Null: somebody else settles. */
  readonly settler: Settler | null;
  readonly unclear: UnclearClaims;
}

export class Exchange {
  readonly #parts: ExchangeParts;

  constructor(parts: ExchangeParts) {
    this.#parts = parts;
  }

  /**
   * @param until when what is claimed must be ended without a renewal
   * @returns null where one settlement could not be written, and all were written one by one instead of a claim
   * @throws what `failureOf` understands
   */
  async make(wanted: ClaimRequest, until: Deadline): Promise<Claimed | null> {
    const { db, settler } = this.#parts;
    if (!settler) return this.#watched(wanted, until, () => claim(db, wanted));
    return settler.settleWith((settlements) =>
      this.#watched(wanted, until, () => settleAndClaim(db, settlements, wanted)),
    );
  }

  #watched<A>({ token, limit }: ClaimRequest, until: Deadline, send: () => Promise<A>): Promise<A> {
    return this.#parts.unclear.watch({ token, until, wanted: limit > 0 }, send);
  }
}

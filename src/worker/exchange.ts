/**
 * One turn of the claim loop on its way to the database and back: what has ended is settled, what may start is claimed.
 *
 * As a rule in one statement: one round trip, one commit. Batches go as two statements at once, over two connections:
 * settling 250 issues takes Postgres as long as handlers of no cost take to run through the next 250, and claiming these
 * half of that, so one processor worked where two could.
 */
import type { Queryable } from '../db/connect.js';
import { monotonic } from '../execution/clock.js';
import type { Deadline } from '../execution/spec.js';
import { type Claimed, type ClaimRequest, claim } from '../queue/claim.js';
import { settle } from '../queue/settle.js';
import { settleAndClaim } from '../queue/settle-claim.js';
import type { Settler } from './settler.js';
import type { UnclearClaims } from './unclear-claims.js';

/** From so many on either side: below, a second commit costs more than the second processor brings. */
const BATCH = 64;

export interface ExchangeParts {
  readonly db: Queryable;
  /** Opened with the first batch, so commands never have it. */
  readonly beside: Queryable;
  readonly settler: Settler;
  readonly unclear: UnclearClaims;
}

export interface ExchangeEvents {
  readonly onClaimed: (answer: Claimed) => void;
  /** The claim, or all of it, was not to be had. Throws what it can't help. */
  readonly onRefused: (error: unknown) => Promise<void>;
}

export class Exchange {
  readonly #parts: ExchangeParts;

  constructor(parts: ExchangeParts) {
    this.#parts = parts;
  }

  /**
   * @param until when what is claimed must be ended without a renewal
   * @throws what `failureOf` understands; what could be taken in has been
   */
  async make(wanted: ClaimRequest, until: Deadline, events: ExchangeEvents): Promise<void> {
    const { settler } = this.#parts;
    const batch = wanted.limit >= BATCH && settler.due(monotonic()).length >= BATCH;
    await (batch ? this.#besides(wanted, until, events) : this.#together(wanted, until, events));
  }

  async #together(wanted: ClaimRequest, until: Deadline, { onClaimed, onRefused }: ExchangeEvents): Promise<void> {
    const { db, settler } = this.#parts;
    const answer = await settler
      .settleWith((settlements) => this.#watched(wanted, until, () => settleAndClaim(db, settlements, wanted)))
      .catch(onRefused);
    if (answer) onClaimed(answer);
  }

  /** Neither answer may be lost over the other's failure: a claim that nobody takes in would run out its lease. */
  async #besides(wanted: ClaimRequest, until: Deadline, { onClaimed, onRefused }: ExchangeEvents): Promise<void> {
    const { db, beside, settler } = this.#parts;
    const [settled, claimed] = await Promise.allSettled([
      settler.settleWith(async (settlements) => ({ settled: await settle(beside, settlements) })),
      this.#watched(wanted, until, () => claim(db, wanted)),
    ]);
    if (claimed.status === 'fulfilled') onClaimed(claimed.value);
    if (settled.status === 'rejected') throw settled.reason;
    if (claimed.status === 'rejected') await onRefused(claimed.reason);
  }

  #watched<A>({ token, limit }: ClaimRequest, until: Deadline, send: () => Promise<A>): Promise<A> {
    return this.#parts.unclear.watch({ token, until, wanted: limit > 0 }, send);
  }
}

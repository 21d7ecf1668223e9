/** Settling what has ended and claiming what may start now, in one statement: one round trip and one commit per batch. */
import type { Queryable } from '../db/connect.js';
import { tellBy, telling } from '../events/append.js';
import {
  CLAIM_ROW,
  type Claimed,
  type ClaimRequest,
  type ClaimRow,
  claim,
  claimedFrom,
  claimParams,
  claimSteps,
} from './claim.js';
import { type Settled, type Settlement, settledFrom, settleParams, settleSteps } from './settle.js';

/**
 * `settle` and `claim` at once. Either may be empty: no settlements, or a limit of 0.
 * The two never meet in one row: what we settle is leased and hence not claimable for this statement.
 */
export async function settleAndClaim(
  db: Queryable,
  settlements: readonly Settlement[],
  request: ClaimRequest,
): Promise<Claimed & { readonly settled: Settled[] }> {
  // An idle worker that is woken: without the steps of settling the answer comes 0.25 to 0.5 ms of 2.5 sooner.
  if (settlements.length === 0) return { settled: [], ...(await claim(db, request)) };
  const [answer] = await tellBy<{ settled: Settled[]; claims: ClaimRow[] }>(db, SETTLE_AND_CLAIM, [
    ...settleParams(settlements),
    ...claimParams(request),
  ]);
  return { settled: settledFrom(answer?.settled ?? [], settlements), ...claimedFrom(answer?.claims ?? [], request) };
}

const SETTLE_AND_CLAIM = telling(
  (unlessTold) => `with ${settleSteps(1, unlessTold)}, ${claimSteps(3, unlessTold)}
  select (select coalesce(json_agg(s), '[]') from (select id, status from settled) s) as settled,
         (select coalesce(json_agg(c), '[]') from (select ${CLAIM_ROW} from claimed) c) as claims`,
);

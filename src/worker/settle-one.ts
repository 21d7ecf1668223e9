/** One settlement by itself, for a server that refused it among others: at the last without its texts. */
import type { Queryable } from '../db/connect.js';
import { type Failure, failureOf } from '../db/failure.js';
import type { Log } from '../log.js';
import { type Settled, type Settlement, settle, stripText } from '../queue/settle.js';

/** `refused`: only a person can help, since a constraint or a trigger of somebody's own will not have it. */
export type OneSettled = { readonly status: Settled['status'] } | { readonly status: 'refused'; readonly why: string };

/** @throws where the statement failed for another reason than what the row holds */
export async function settleOne(db: Queryable, one: Settlement, log: Log): Promise<OneSettled> {
  const first = await tryOne(db, one);
  if (first.status !== 'refused') return first;
  const second = await tryOne(db, stripText(one));
  if (second.status !== 'refused')
    log.warn(`issue ${one.id}: its texts can't be stored (${first.why}); the outcome is kept without them`);
  return second;
}

async function tryOne(db: Queryable, one: Settlement): Promise<OneSettled> {
  try {
    const [settled] = await settle(db, [one]);
    return { status: settled?.status ?? 'lost' };
  } catch (error) {
    const failure = failureOf(error);
    if (!isRefusal(failure)) throw error;
    return { status: 'refused', why: failure.message };
  }
}

/** The server understood, and will not: for what the row holds, or for rules of its own. */
export function isRefusal({ kind, code }: Failure): boolean {
  return kind === 'data' || (kind === 'other' && code !== null);
}

/** When a crash that is charged to an attempt was one: something killed or froze its worker or keeper meanwhile. */
import type { AttemptRow, FaultRecord, History } from './history.js';
import { FAULTS, type FaultKind } from './schedule.js';

const KILLS: readonly FaultKind[] = [
  'kill worker',
  'kill keeper',
  'kill worker and keeper',
  'stop worker',
  'stop keeper',
];
/** The claim's time is the database's, the fault's is ours: they are taken on one host, but not at one instant. */
const MARGIN_S = 1;
/** A worker that was cut off tries again after 30 s and a fifth at the latest, and then says what had happened. */
const REPORTS_AFTER_S = 40;

/**
 * A worker that could not renew ends its command in time and says so when it is back: the crash that was booked meanwhile
 * becomes an interruption. Killed before that, it has left its word on disk for its successor, unless the disk was full, or
 * the command had ended by itself: a dead worker's late outcome takes no crash back.
 */
export function isRightlyCharged(attempt: AttemptRow, { faults, departures, ledger }: History): boolean {
  const own = faults.filter(({ worker, hit }) => hit && worker === attempt.worker);
  const from = attempt.started - MARGIN_S;
  const ended = ledger.some(({ what, run }) => what === 'end' && run === `${attempt.token}-${attempt.issue}`);
  const until = (ended || mute(attempt, own) ? reportedBy(attempt, faults) : attempt.ended) + MARGIN_S;
  const struck = own.some((fault) => KILLS.includes(fault.kind) && touches(fault, from, until));
  return struck || departures.some(({ worker, at }) => worker === attempt.worker && at >= from && at <= until);
}

function mute(attempt: AttemptRow, own: readonly FaultRecord[]): boolean {
  return own.some(({ kind, from, until }) => kind === 'full disk' && from <= attempt.ended && until >= attempt.started);
}

/** Until when its worker, cut off as it was, may have had something to say about the attempt. */
function reportedBy(attempt: AttemptRow, faults: readonly FaultRecord[]): number {
  const cuts = faults.filter(
    ({ kind, worker, hit }) =>
      hit && (FAULTS[kind].target === 'database' || (FAULTS[kind].target === 'network' && worker === attempt.worker)),
  );
  const met = cuts.filter((cut) => touches(cut, attempt.started - MARGIN_S, attempt.ended + MARGIN_S));
  return Math.max(attempt.ended, ...met.map(({ until }) => until + REPORTS_AFTER_S));
}

function touches(fault: FaultRecord, from: number, until: number): boolean {
  return fault.from <= until && fault.until >= from;
}

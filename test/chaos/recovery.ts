/** How long it took to go on: measured, not judged. */
import type { History } from './history.js';
import { FAULTS, type FaultKind } from './schedule.js';

/** What can take a run from its worker; the others only make it slow. */
const TAKING: readonly FaultKind[] = [
  ...(['kill worker', 'kill keeper', 'kill worker and keeper', 'stop worker', 'stop keeper'] as const),
  ...(['term worker twice', 'refuse connections', 'black hole', 'stall and deliver', 'full disk'] as const),
  ...(['stop Postgres fast', 'stop Postgres immediately', 'kill Postgres'] as const),
];

export interface Recoveries {
  /** From a fault that took an issue's run to that issue's next start, seconds. */
  readonly takeovers: readonly number[];
  /** From the database's return to the first claim or settlement, seconds. */
  readonly afterOutages: readonly number[];
}

/**
 * Commands that came to their end well and were run again all the same, since their worker was struck before it could
 * write that down. "At least once" allows it; how often it happens is worth knowing.
 */
export function repeatedSuccesses({ attempts, ledger }: History): number {
  const well = new Set(ledger.filter(({ what, exit }) => what === 'end' && exit === '0').map(({ run }) => run));
  return attempts.filter(({ issue, token, outcome }) => outcome !== 'succeeded' && well.has(`${token}-${issue}`))
    .length;
}

export function recoveries(history: History): Recoveries {
  return { takeovers: takeovers(history), afterOutages: afterOutages(history) };
}

function takeovers({ attempts, ledger, faults }: History): number[] {
  const starts = new Map(
    ledger.filter(({ what }) => what === 'start').map((line) => [`${line.issue}/${line.attempt}`, line.at]),
  );
  return attempts
    .filter(({ outcome }) => outcome === 'crashed' || outcome === 'interrupted')
    .flatMap(({ issue, attempt, worker }) => {
      const began = starts.get(`${issue}/${attempt}`);
      const next = starts.get(`${issue}/${attempt + 1}`);
      if (began === undefined || next === undefined) return [];
      const strikes = faults.filter(
        ({ hit, worker: struck, kind, from }) =>
          hit && TAKING.includes(kind) && from >= began && from < next && (struck === worker || struck === null),
      );
      return strikes.length === 0 ? [] : [next - Math.min(...strikes.map(({ from }) => from))];
    });
}

function afterOutages({ faults, moves }: History): number[] {
  const outages = faults.filter(({ kind, hit }) => hit && FAULTS[kind].target === 'database');
  return outages.flatMap(({ until }) => {
    const next = moves.find(({ at, was, byHand }) => at >= until && was !== null && !byHand);
    return next ? [next.at - until] : [];
  });
}

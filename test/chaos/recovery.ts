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
  /** From a fault that took an issue's run until the issue could be claimed anew, seconds. */
  readonly freed: readonly number[];
  /** From that fault to the issue's next start, seconds: its place in the queue and its pauses count too. */
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
  const taken = takenRuns(history);
  return {
    freed: taken.map(({ struckAt, freedAt }) => freedAt - struckAt),
    takeovers: taken.flatMap(({ struckAt, nextAt }) => (nextAt === null ? [] : [nextAt - struckAt])),
    afterOutages: afterOutages(history),
  };
}

interface TakenRun {
  readonly struckAt: number;
  readonly freedAt: number;
  readonly nextAt: number | null;
}

/** The earliest fault that may have been the cause counts, so these times are never too short. */
function takenRuns({ attempts, ledger, faults, moves }: History): TakenRun[] {
  const starts = new Map(
    ledger.filter(({ what }) => what === 'start').map((line) => [`${line.issue}/${line.attempt}`, line.at]),
  );
  const ends = new Map(
    moves.filter(({ was }) => was === 'started').map((move) => [`${move.issue}/${move.attempt}`, move.at]),
  );
  return attempts
    .filter(({ outcome }) => outcome === 'crashed' || outcome === 'interrupted')
    .flatMap(({ issue, attempt, worker }) => {
      const began = starts.get(`${issue}/${attempt}`);
      const freedAt = ends.get(`${issue}/${attempt}`);
      if (began === undefined || freedAt === undefined) return [];
      const strikes = faults.filter(
        ({ hit, worker: struck, kind, from }) =>
          hit && TAKING.includes(kind) && from >= began && from < freedAt && (struck === worker || struck === null),
      );
      if (strikes.length === 0) return [];
      const struckAt = Math.min(...strikes.map(({ from }) => from));
      return [{ struckAt, freedAt, nextAt: starts.get(`${issue}/${attempt + 1}`) ?? null }];
    });
}

function afterOutages({ faults, moves }: History): number[] {
  const outages = faults.filter(({ kind, hit }) => hit && FAULTS[kind].target === 'database');
  return outages.flatMap(({ until }) => {
    const next = moves.find(({ at, was, byHand }) => at >= until && was !== null && !byHand);
    return next ? [next.at - until] : [];
  });
}

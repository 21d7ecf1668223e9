/** The judge: a history goes in, what is wrong with it comes out. Pure, so that each rule can be shown to catch its lie. */
import { CRASH_CAP, isFinal, type Status, TRANSITIONS } from '../../src/core/issue.js';
import { isRightlyCharged } from './crash-causes.js';
import type { AttemptRow, History, IssueRow } from './history.js';
import { type IssuePlan, KINDS } from './issues.js';
import type { LedgerLine } from './ledger.js';

export interface Violation {
  readonly rule: Rule;
  readonly issue: number | null;
  readonly text: string;
}

/** What each rule says, for people. */
export const RULES = {
  drained: 'the queue is empty some time after the last fault',
  ended: 'every committed issue has ended as its command said',
  overlap: 'no two attempts of one issue overlap in time',
  ledger: 'every run belongs to exactly one attempt that the database knows',
  charged: 'attempts are charged only where charged is right',
  state: 'every row satisfies the state machine',
  moves: 'every move of a row is one that the state machine allows',
  survivors: 'no process of any run is alive',
  workers: 'workers leave only when they are asked to',
} as const;

export type Rule = keyof typeof RULES;

/** Both clocks of the comparison move in steps of 10 ms. */
const CLOCK_STEPS_S = 0.03;
/** A command's own timer may be that much shorter than the worker's. */
const TIMEOUT_SLACK = 0.95;

export function check(history: History): Violation[] {
  return [
    ...checkDrained(history),
    ...checkEnds(history),
    ...checkOverlaps(history),
    ...checkLedger(history),
    ...checkCharges(history),
    ...checkState(history),
    ...checkMoves(history),
    ...history.survivors.map(({ pid, what }) => violation('survivors', null, `pid ${pid} is alive: ${what}`)),
    ...history.departures.map(({ worker, how }) => violation('workers', null, `${worker} left by itself: ${how}`)),
    ...history.stuck.map((worker) => violation('workers', null, `${worker} did not end well when it was asked to`)),
  ];
}

function violation(rule: Rule, issue: number | null, text: string): Violation {
  return { rule, issue, text };
}

function checkDrained({ undrainedAfter }: History): Violation[] {
  if (undrainedAfter === null) return [];
  return [violation('drained', null, `the queue was not empty ${undrainedAfter} s after the last fault`)];
}

function checkEnds(history: History): Violation[] {
  const rows = new Map(history.rows.map((row) => [row.id, row]));
  const known = new Set(history.inserted.map(({ id }) => id));
  const strangers = history.rows.filter(({ id }) => !known.has(id));
  return [
    ...strangers.map(({ id }) => violation('ended', id, 'was never inserted by this run')),
    ...history.inserted.flatMap(({ id, plan }) => {
      const row = rows.get(id);
      if (!row) return violation('ended', id, 'was committed and is gone');
      const allowed = allowedEnds(history, id, plan);
      return allowed.has(row.status)
        ? []
        : violation('ended', id, `(${plan.kind}) is ${row.status}; allowed is ${[...allowed].join(' or ')}`);
    }),
  ];
}

function allowedEnds(history: History, id: number, plan: IssuePlan): Set<Status> {
  const cancels = history.cancels.filter(({ issue }) => issue === id);
  // A pending one is cancelled there and then; nothing of it may run any more.
  const surely = cancels.some(({ state }) => state === 'cancelled') && !history.requeued.includes(id);
  if (surely) return new Set(['cancelled']);
  const crashes = history.attempts.filter(({ issue, outcome }) => issue === id && outcome === 'crashed').length;
  const ends = new Set<Status>([KINDS[plan.kind].ends]);
  if (cancels.length > 0) ends.add('cancelled');
  // That each crash was rightly charged is looked at by itself.
  if (crashes >= CRASH_CAP) ends.add('failed');
  return ends;
}

function checkOverlaps({ ledger, sightings }: History): Violation[] {
  const seen = new Map(sightings.map(({ run, lastSeen }) => [run, lastSeen]));
  const ends = new Map(ledger.filter(({ what }) => what === 'end').map(({ run, at }) => [run, at]));
  const lastAlive = ({ run, at }: LedgerLine) => Math.max(at, ends.get(run) ?? 0, seen.get(run) ?? 0);
  return [...startsByIssue(ledger)].flatMap(([issue, starts]) => {
    const inTime = [...starts].sort((a, b) => a.at - b.at);
    return inTime.flatMap((later, index) =>
      inTime
        .slice(0, index)
        .filter((earlier) => lastAlive(earlier) > later.at + CLOCK_STEPS_S)
        .map((earlier) => violation('overlap', issue, overlapText(earlier, later, lastAlive(earlier)))),
    );
  });
}

function overlapText(earlier: LedgerLine, later: LedgerLine, alive: number): string {
  const both = (alive - later.at).toFixed(2);
  return `attempt ${earlier.attempt} (${earlier.worker}) was alive for ${both} s beside attempt ${later.attempt} (${later.worker}), which began at ${later.at}`;
}

function startsByIssue(ledger: readonly LedgerLine[]): Map<number, LedgerLine[]> {
  return groupBy(
    ledger.filter(({ what }) => what === 'start'),
    ({ issue }) => issue,
  );
}

function groupBy<T, K>(items: readonly T[], keyOf: (item: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>();
  for (const item of items) groups.set(keyOf(item), [...(groups.get(keyOf(item)) ?? []), item]);
  return groups;
}

function checkLedger({ ledger, attempts }: History): Violation[] {
  const known = new Map(attempts.map((row) => [`${row.issue}/${row.attempt}`, row]));
  const starts = ledger.filter(({ what }) => what === 'start');
  const begun = groupBy(starts, ({ issue, attempt }) => `${issue}/${attempt}`);
  const twice = [...begun.values()].filter((lines) => lines.length > 1).map(([line]) => line!);
  return [
    ...twice.map(({ issue, attempt }) => violation('ledger', issue, `attempt ${attempt} was started more than once`)),
    ...starts.flatMap(({ issue, attempt, run, worker }) => {
      const row = known.get(`${issue}/${attempt}`);
      if (!row) return violation('ledger', issue, `attempt ${attempt} ran (${worker}) and is in no history`);
      if (run !== `${row.token}-${issue}`)
        return violation(
          'ledger',
          issue,
          `attempt ${attempt} ran under another token than history has (${worker}, ${row.worker})`,
        );
      return row.worker === worker
        ? []
        : violation('ledger', issue, `attempt ${attempt} ran on ${worker}, not ${row.worker}`);
    }),
  ];
}

function checkCharges(history: History): Violation[] {
  const plans = new Map(history.inserted.map(({ id, plan }) => [id, plan]));
  const ends = new Map(history.ledger.filter(({ what }) => what === 'end').map((line) => [line.run, line]));
  const asked = new Set([...history.cancels.map(({ issue }) => issue), ...history.requeued]);
  const ofIssue = groupBy(history.attempts, ({ issue }) => issue);
  return [
    ...history.attempts.flatMap((row) => {
      const why = wrongOutcome(row, plans.get(row.issue), ends.get(`${row.token}-${row.issue}`), asked, history);
      return why === null ? [] : violation('charged', row.issue, `attempt ${row.attempt} (${row.worker}): ${why}`);
    }),
    ...history.rows.flatMap((row) => wrongCounts(row, ofIssue.get(row.id) ?? [])),
  ];
}

/** What does not fit between an outcome as it is booked and what the command did, or null. */
function wrongOutcome(
  row: AttemptRow,
  plan: IssuePlan | undefined,
  end: LedgerLine | undefined,
  asked: ReadonlySet<number>,
  history: History,
): string | null {
  const said = end ? `wrote its end with ${end.exit}` : 'never wrote an end';
  const booked = `booked as ${row.outcome} (${row.exitCode ?? row.signal ?? row.error}), but the command ${said}`;
  switch (row.outcome) {
    case 'succeeded':
      return end?.exit === '0' ? null : booked;
    case 'failed':
      return end && end.exit !== '0' && end.exit === String(row.exitCode ?? row.signal) ? null : booked;
    case 'invalid':
      return end?.exit === '64' ? null : booked;
    case 'snoozed':
      return end?.exit === '75' ? null : booked;
    case 'timed_out': {
      const limit = plan?.timeoutSeconds;
      const ran = row.ended - row.started;
      if (limit && ran >= limit * TIMEOUT_SLACK) return null;
      return `booked as timed out after ${ran.toFixed(1)} s; its limit is ${limit ?? 3600} s`;
    }
    case 'cancelled':
      return asked.has(row.issue) ? null : 'booked as cancelled, which nobody asked for';
    case 'crashed':
      return isRightlyCharged(row, history)
        ? null
        : `a crash is charged (${row.error}), but nothing killed or froze its worker`;
    case 'interrupted':
    case 'unrunnable':
      return null; // charged nothing
    default:
      return `an outcome that no history should have: ${row.outcome}`;
  }
}

function wrongCounts(row: IssueRow, attempts: readonly AttemptRow[]): Violation[] {
  const count = (...outcomes: string[]) => attempts.filter(({ outcome }) => outcomes.includes(outcome)).length;
  const expected = {
    failures: count('failed', 'timed_out', 'invalid'),
    crashes: count('crashed'),
    snoozes: count('snoozed'),
  };
  return (Object.keys(expected) as (keyof typeof expected)[])
    .filter((name) => row[name] !== expected[name])
    .map((name) => violation('charged', row.id, `has ${row[name]} ${name}, its history has ${expected[name]}`));
}

function checkState({ rows, leases, attempts }: History): Violation[] {
  const numbers = groupBy(attempts, ({ issue }) => issue);
  const leased = new Set(leases);
  const orphans = leases.filter((id) => !rows.some((row) => row.id === id));
  return [
    ...orphans.map((id) => violation('state', id, 'has a lease but no row')),
    ...rows.flatMap((row) => {
      const history = (numbers.get(row.id) ?? []).map(({ attempt }) => attempt).sort((a, b) => a - b);
      const live = row.status === 'started' ? 1 : 0;
      const wrong: [boolean, string][] = [
        [!isFinal(row.status), `is still ${row.status}`],
        [
          row.leased !== leased.has(row.id),
          `says leased=${row.leased}, and has ${leased.has(row.id) ? 'a' : 'no'} lease`,
        ],
        [row.status === 'started' && !leased.has(row.id), 'is started and nobody holds it'],
        [isFinal(row.status) && row.leased, 'has ended and is still held'],
        [isFinal(row.status) !== (row.completed !== null), `is ${row.status} and completed_at is ${row.completed}`],
        [row.status === 'pending' && row.started !== null, 'is pending and has a start time'],
        [history.some((attempt, index) => attempt !== index + 1), `has attempts ${history.join(', ')} in its history`],
        [row.attempt !== history.length + live, `says attempt ${row.attempt}, its history has ${history.length}`],
      ];
      return wrong.filter(([is]) => is).map(([, text]) => violation('state', row.id, text));
    }),
  ];
}

function checkMoves({ moves }: History): Violation[] {
  return [...groupBy(moves, ({ issue }) => issue)].flatMap(([issue, own]) => {
    let status: Status | null = null;
    return own.flatMap(({ was, became, byHand }) => {
      const from = status;
      status = became;
      if (was !== from) return violation('moves', issue, `went on from ${was} where it had become ${from}`);
      const allowed = was === null ? became === 'pending' : byHand || TRANSITIONS[was].includes(became);
      return allowed ? [] : violation('moves', issue, `went from ${was} to ${became}`);
    });
  });
}

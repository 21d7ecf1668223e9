import { describe, expect, test } from 'vitest';
import { check } from './checker.js';
import type { AttemptRow, FaultRecord, History, IssueRow, Move } from './history.js';
import { type IssuePlan, type KindName, planIssues } from './issues.js';
import type { LedgerLine } from './ledger.js';

const PLANS = planIssues(1, 2);

function planOf(kind: KindName): IssuePlan {
  return PLANS.find((plan) => plan.kind === kind)!;
}

const row = (columns: Partial<IssueRow> = {}): IssueRow => ({
  id: 1,
  description: 'chaos 1',
  status: 'completed',
  leased: false,
  attempt: 1,
  failures: 0,
  crashes: 0,
  snoozes: 0,
  started: 10,
  completed: 20,
  ...columns,
});

const attempt = (columns: Partial<AttemptRow> = {}): AttemptRow => ({
  issue: 1,
  attempt: 1,
  token: 'token1',
  worker: 'chaos-1',
  started: 10,
  ended: 20,
  outcome: 'succeeded',
  exitCode: 0,
  signal: null,
  error: null,
  ...columns,
});

const line = (what: LedgerLine['what'], columns: Partial<LedgerLine> = {}): LedgerLine => ({
  what,
  issue: 1,
  attempt: 1,
  run: 'token1-1',
  pid: 100,
  worker: 'chaos-1',
  at: what === 'start' ? 10 : 19.9,
  exit: '0',
  ...columns,
});

const move = (was: Move['was'], became: Move['became'], columns: Partial<Move> = {}): Move => ({
  issue: 1,
  was,
  became,
  attempt: 1,
  at: 10,
  byHand: false,
  ...columns,
});

const fault = (columns: Partial<FaultRecord>): FaultRecord => ({
  kind: 'kill worker',
  worker: 'chaos-1',
  from: 15,
  until: 16,
  hit: true,
  ...columns,
});

/** One issue that was run once and is completed: nothing is wrong with it. */
function history(changes: Partial<History> = {}): History {
  return {
    inserted: [{ id: 1, plan: planOf('sleep') }],
    rows: [row()],
    attempts: [attempt()],
    leases: [],
    moves: [move(null, 'pending'), move('pending', 'started'), move('started', 'completed')],
    ledger: [line('start'), line('end')],
    sightings: [{ run: 'token1-1', firstSeen: 10, lastSeen: 19.9 }],
    survivors: [],
    faults: [],
    cancels: [],
    requeued: [],
    departures: [],
    stuck: [],
    undrainedAfter: null,
    ...changes,
  };
}

/** The same issue, taken from its first worker, which died, by a second. */
function takenOver(changes: Partial<History> = {}): History {
  const second = { attempt: 2, token: 'token2', worker: 'chaos-2', started: 21, ended: 30 };
  const secondRun = { attempt: 2, run: 'token2-1', worker: 'chaos-2' };
  return history({
    rows: [row({ attempt: 2, crashes: 1, completed: 30 })],
    attempts: [attempt({ outcome: 'crashed', exitCode: null, error: 'died' }), attempt(second)],
    ledger: [line('start'), line('start', { ...secondRun, at: 21 }), line('end', { ...secondRun, at: 29 })],
    sightings: [{ run: 'token1-1', firstSeen: 10, lastSeen: 16 }],
    moves: [
      ...[move(null, 'pending'), move('pending', 'started'), move('started', 'pending')],
      ...[move('pending', 'started', { attempt: 2 }), move('started', 'completed', { attempt: 2 })],
    ],
    faults: [fault({})],
    ...changes,
  });
}

const rulesOf = (judged: History) => [...new Set(check(judged).map(({ rule }) => rule))];

describe('nothing is found', () => {
  test('in an issue that was run once', () => {
    expect(check(history())).toEqual([]);
  });

  test('in one whose worker was killed, and that another completed', () => {
    expect(check(takenOver())).toEqual([]);
  });
});

describe('issues that did not end as their command said', () => {
  test('gone from the table', () => {
    expect(rulesOf(history({ rows: [] }))).toContain('ended');
  });

  test('failed, where the command succeeds', () => {
    const failed = history({ rows: [row({ status: 'failed' })] });
    expect(check(failed)).toMatchObject([{ rule: 'ended', issue: 1 }]);
  });

  test('completed, where the command always fails', () => {
    expect(rulesOf(history({ inserted: [{ id: 1, plan: planOf('fail') }] }))).toContain('ended');
  });

  test('cancelled, which nobody asked for', () => {
    expect(rulesOf(history({ rows: [row({ status: 'cancelled' })] }))).toContain('ended');
    expect(check(history({ rows: [row({ status: 'cancelled' })], cancels: [{ issue: 1, state: 'ending' }] }))).toEqual(
      [],
    );
  });

  test('run although they had been cancelled while they were pending', () => {
    expect(rulesOf(history({ cancels: [{ issue: 1, state: 'cancelled' }] }))).toContain('ended');
  });

  test('rows that nobody inserted', () => {
    expect(rulesOf(history({ rows: [row(), row({ id: 2, attempt: 0 })] }))).toContain('ended');
  });

  test('failed by the cap of crashes without as many crashes', () => {
    const failed = takenOver({ rows: [row({ status: 'failed', attempt: 2, crashes: 1 })] });
    expect(rulesOf(failed)).toContain('ended');
  });

  test('not ended when the time for that was over', () => {
    expect(check(history({ undrainedAfter: 180 }))).toMatchObject([{ rule: 'drained' }]);
  });
});

describe('two attempts of one issue at one time', () => {
  test('by the ledger: the first wrote its end after the second had begun', () => {
    const late = takenOver();
    expect(rulesOf({ ...late, ledger: [...late.ledger, line('end', { at: 21.5 })] })).toEqual(['overlap']);
  });

  test('by what was seen alive: the first never wrote an end', () => {
    const seen = [{ run: 'token1-1', firstSeen: 10, lastSeen: 21.2 }];
    expect(check(takenOver({ sightings: seen }))).toMatchObject([
      { rule: 'overlap', issue: 1, text: expect.stringContaining('0.20 s beside attempt 2') },
    ]);
  });

  test('but not within the steps of the clock', () => {
    expect(check(takenOver({ sightings: [{ run: 'token1-1', firstSeen: 10, lastSeen: 21.02 }] }))).toEqual([]);
  });

  test('also where the later attempt has the lower number', () => {
    const swapped = takenOver();
    const ledger = swapped.ledger.map((one) => (one.attempt === 2 ? { ...one, at: one.at - 15 } : one));
    expect(rulesOf({ ...swapped, ledger })).toContain('overlap');
  });
});

describe('runs that the database does not know as they were', () => {
  test('one of an attempt that is in no history', () => {
    const ghost = [line('start', { attempt: 2, run: 'token2-1', at: 25 })];
    expect(check(history({ ledger: [...history().ledger, ...ghost] }))).toMatchObject([{ rule: 'ledger', issue: 1 }]);
  });

  test('one attempt that was started twice', () => {
    expect(rulesOf(history({ ledger: [line('start'), line('end'), line('start', { at: 25 })] }))).toContain('ledger');
  });

  test('another token, another worker', () => {
    expect(rulesOf(history({ attempts: [attempt({ worker: 'chaos-2' })] }))).toContain('ledger');
    expect(rulesOf(history({ attempts: [attempt({ token: 'token9' })] }))).toContain('ledger');
  });
});

describe('what is charged wrongly', () => {
  test('a crash where nothing killed or froze the worker', () => {
    expect(rulesOf(takenOver({ faults: [] }))).toEqual(['charged']);
    expect(rulesOf(takenOver({ faults: [fault({ kind: 'black hole' })] }))).toEqual(['charged']);
    expect(rulesOf(takenOver({ faults: [fault({ worker: 'chaos-2' })] }))).toEqual(['charged']);
    expect(rulesOf(takenOver({ faults: [fault({ from: 40, until: 41 })] }))).toEqual(['charged']);
    expect(rulesOf(takenOver({ faults: [fault({ hit: false })] }))).toEqual(['charged']);
  });

  test('also of a worker that was killed later: it had left its word on disk, but for a full one', () => {
    const faults = [fault({ kind: 'black hole', from: 12, until: 35 }), fault({ from: 36, until: 37 })];
    expect(rulesOf(takenOver({ faults }))).toEqual(['charged']);
    expect(check(takenOver({ faults: [...faults, fault({ kind: 'full disk' })] }))).toEqual([]);
  });

  test('a failure that the command never wrote', () => {
    const failed = attempt({ outcome: 'failed', exitCode: null, signal: 'SIGTERM' });
    const judged = takenOver({
      attempts: [failed, takenOver().attempts[1]!],
      rows: [row({ attempt: 2, failures: 1 })],
    });
    expect(rulesOf(judged)).toEqual(['charged']);
  });

  test('a success that the command never wrote', () => {
    expect(rulesOf(history({ ledger: [line('start')] }))).toEqual(['charged']);
  });

  test('a time-out before the time was over', () => {
    const judged = takenOver({
      attempts: [attempt({ outcome: 'timed_out' }), takenOver().attempts[1]!],
      rows: [row({ attempt: 2, failures: 1 })],
    });
    expect(rulesOf(judged)).toEqual(['charged']);
  });

  test('counts that are not those of the history', () => {
    for (const column of ['failures', 'crashes', 'snoozes'] as const)
      expect(rulesOf(history({ rows: [row({ [column]: 1 })] }))).toEqual(['charged']);
  });
});

describe('rows that no state machine makes', () => {
  test.each<[string, Partial<IssueRow>]>([
    ['still started', { status: 'started', completed: null }],
    ['still pending', { status: 'pending', completed: null, started: null }],
    ['ended and held', { leased: true }],
    ['ended without a time', { completed: null }],
    ['attempts without history', { attempt: 2 }],
  ])('%s', (_, columns) => {
    expect(rulesOf(history({ rows: [row(columns)] }))).toContain('state');
  });

  test('a lease that nobody holds any more', () => {
    expect(rulesOf(history({ leases: [1] }))).toContain('state');
    expect(rulesOf(history({ leases: [7] }))).toContain('state');
  });

  test('a gap in the attempts', () => {
    const judged = takenOver();
    expect(rulesOf({ ...judged, attempts: judged.attempts.slice(1) })).toContain('state');
  });
});

describe('moves that no arrow allows', () => {
  test('from completed to started', () => {
    const moves = [...history().moves, move('completed', 'started'), move('started', 'completed')];
    expect(rulesOf(history({ moves }))).toEqual(['moves']);
  });

  test('from a status that the row did not have', () => {
    expect(rulesOf(history({ moves: [move(null, 'pending'), move('started', 'completed')] }))).toEqual(['moves']);
  });

  test('but people may do as they like', () => {
    const moves = [move(null, 'pending'), move('pending', 'completed', { byHand: true })];
    expect(check(history({ moves }))).toEqual([]);
  });
});

describe('what is left', () => {
  test('a process of a run', () => {
    expect(rulesOf(history({ survivors: [{ pid: 7, what: 'sleep 600' }] }))).toEqual(['survivors']);
  });

  test('a worker that left by itself, or not when it was asked to', () => {
    expect(rulesOf(history({ departures: [{ worker: 'chaos-1', at: 12, how: 'exit code 70' }] }))).toEqual(['workers']);
    expect(rulesOf(history({ stuck: ['chaos-1'] }))).toEqual(['workers']);
  });
});

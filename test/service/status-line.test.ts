import { describe, expect, test } from 'vitest';
import { LONGEST_STATUS, statusLine } from '../../src/service/status-line.js';
import type { RunningIssue, WorkerState } from '../../src/worker/state.js';

const now = new Date(2026, 10, 23, 15, 0);
const idle: WorkerState = {
  phase: 'working',
  away: null,
  paused: false,
  running: [],
  unwritten: [],
  completed: 3,
  drainUntil: null,
  leavesBy: null,
  stuck: null,
};
const seven: RunningIssue = {
  id: 7,
  attempt: 2,
  since: new Date(2026, 10, 23, 14, 3),
  until: new Date(2026, 10, 23, 15, 3),
};
const away = { since: new Date(2026, 10, 22, 9, 5), words: 'the database at db:5432 is out of reach (ECONNREFUSED)' };
const eight = { ...seven, id: 8, since: new Date(2026, 10, 22, 23, 59) };

describe('the line that systemctl status shows', () => {
  test.each<[string, Partial<WorkerState>]>([
    ['starting', { phase: 'starting' }],
    [
      'waiting for the database since 2026-11-22 09:05: the database at db:5432 is out of reach (ECONNREFUSED)',
      { phase: 'starting', away },
    ],
    ['bringing the tables up to date', { phase: 'migrating' }],
    ['idle, 3 done since start', {}],
    ['paused, 3 done since start', { paused: true }],
    ['issue 7 attempt 2 since 14:03, 3 done since start', { running: [seven] }],
    [
      'issue 8 attempt 2 since 2026-11-22 23:59, issue 7 attempt 2 since 14:03, 3 done since start',
      { running: [eight, seven] },
    ],
    [
      `issue 7 attempt 2 since 14:03, 3 done since start; waiting for the database since 2026-11-22 09:05: ${away.words}`,
      { running: [seven], away },
    ],
    [`waiting for the database since 2026-11-22 09:05: ${away.words}`, { away }],
    ['draining: issue 7 attempt 2 since 14:03, at most until 15:03', { phase: 'draining', running: [seven] }],
    [
      'draining: issue 7 attempt 2 since 14:03, at most until 15:01',
      { phase: 'draining', running: [seven], drainUntil: new Date(2026, 10, 23, 15, 1) },
    ],
    ['stopping: writing back issue 7', { phase: 'draining', unwritten: [7] }],
    ['stopping', { phase: 'draining' }],
    ['stopping: ending issue 7 attempt 2 since 14:03', { phase: 'ending', running: [seven] }],
    ['stopped', { phase: 'stopped' }],
    ['the claim loop stands still, which is a bug; idle, 3 done since start', { stuck: 'the claim loop' }],
  ])('%s', (line, state) => {
    expect(statusLine({ ...idle, ...state }, now)).toBe(line);
  });

  test('names a few of many issues and counts the rest', () => {
    const running = Array.from({ length: 64 }, (_, n) => ({ ...seven, id: n + 1 }));
    expect(statusLine({ ...idle, running }, now)).toMatch(
      /^issue 1 attempt .*, issue 4 attempt 2 since 14:03 and 60 more/,
    );
  });

  test('stays one line of bounded length, whatever it quotes', () => {
    const line = statusLine({ ...idle, away: { ...away, words: `a\nREADY=1\u001b[31m${'x'.repeat(5000)}` } }, now);
    expect(line).toContain('a\\nREADY=1\\u001b[31mxxx');
    expect([...line].length).toBe(LONGEST_STATUS);
  });
});

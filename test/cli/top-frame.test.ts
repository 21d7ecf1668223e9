/** The screen as lines: nothing is wider or higher than the terminal, and what matters is there. */
import pc from 'picocolors';
import { describe, expect, test } from 'vitest';
import { widthOf } from '../../src/cli/top-cells.js';
import { type FrameOptions, frameOf, keysOf, type Seen } from '../../src/cli/top-frame.js';
import { type Model, START } from '../../src/cli/top-model.js';
import type { Overview } from '../../src/cli/top-overview.js';
import type { WorkerRow } from '../../src/client.js';
import type { Issue, Status } from '../../src/core/issue.js';

const NOW = Date.parse('2026-03-01T14:05:09Z');
const ago = (seconds: number) => new Date(NOW - seconds * 1000);

function issue(id: number, status: Status, more: Partial<Issue> = {}): Issue {
  return {
    ...{ id, status, description: `issue number ${id}`, assigned_worker_id: 'alleycat-1', priority: 0, attempt: 1 },
    ...{ created_at: ago(600), updated_at: ago(5), started_at: ago(65), completed_at: ago(5), run_at: null },
    ...{ last_error: null, result: null },
    ...more,
  } as Issue;
}

function worker(id: string, more: Partial<WorkerRow> = {}): WorkerRow {
  return {
    ...{ id, host: 'host-a', version: '0.1.0', slots: 4, running: 2, silent_ms: 3000, stopped_at: null, paused: false },
    ...{ heartbeat_at: ago(3), started_at: ago(9999) },
    ...more,
  } as WorkerRow;
}

const many = (status: Status, from: number, count: number) =>
  Array.from({ length: count }, (_, n) => issue(from - n, status));

function overview(more: Partial<Overview> = {}): Overview {
  const stats = {
    ...{ pending: 1200, parked: 3, started: 2, completed: 98_765, failed: 7, cancelled: 1, other: 0 },
    ...{ oldest_pending_seconds: 125.4, completed_last_hour: 123, failed_last_hour: 3, stranded: [] },
    estimated: [],
  };
  return {
    ...{ clockOffset: 0, stats, everybodyPaused: false },
    workers: [worker('alleycat-1'), worker('alleycat-2', { stopped_at: ago(60) })],
    running: many('started', 50, 2),
    pending: many('pending', 90, 30),
    ended: [issue(9, 'failed', { last_error: 'exit code 3: no such file' }), ...many('completed', 8, 8)],
    ...more,
  };
}

function lines(model: Partial<Model>, seen: Partial<Seen>, options: Partial<FrameOptions> = {}): string[] {
  return frameOf(
    { ...START, ...model },
    { overview: overview(), output: null, ...seen },
    {
      width: 100,
      height: 29,
      now: NOW,
      database: 'postgres://db/cape',
      trouble: null,
      paint: pc.createColors(false),
      ...options,
    },
  );
}

describe.each([
  [60, 14],
  [100, 29],
  [160, 39],
  [25, 5],
  [10, 2],
  [1, 1],
])('a terminal of %i columns and %i lines', (width, height) => {
  const evil = issue(50, 'started', { description: '\u001b[2J\u202e日本語'.repeat(40), assigned_worker_id: 'w\u0007' });
  const pages: [string, Partial<Model>, Partial<Seen>][] = [
    ['the overview', { chosen: 'issue 50' }, { overview: overview({ running: [evil] }) }],
    ['an empty queue', {}, { overview: overview({ workers: [], running: [], pending: [], ended: [] }) }],
    ['the help', { help: true }, {}],
    ['a question', { question: { text: 'cancel issue 1?', action: { do: 'cancel', id: 1 } } }, {}],
    ['a filter', { typing: '日本語'.repeat(30) }, {}],
    [
      'an output',
      { page: 'output', output: { id: 50, attempt: null, top: null } },
      {
        output: { issue: evil, attempts: [], attempt: undefined, first: 0, rows: Array(99).fill('x'), note: 'a note' },
      },
    ],
  ];

  test.each(pages)('has room for %s', (_, model, seen) => {
    const all = lines(model, seen, { width, height, trouble: 'the database is away' });
    expect(all).toHaveLength(height);
    expect(all.filter((line) => widthOf(line) > width)).toEqual([]);
    expect(all.join('')).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202e]/);
  });
});

describe('the overview', () => {
  test('has the numbers, the workers, what runs, waits and has ended', () => {
    const text = lines({ chosen: 'issue 49' }, {}).join('\n');
    expect(text).toContain('pending 1,200 (3 later)   running 2/4   completed 98,765   failed 7   cancelled 1');
    expect(text).toContain('oldest pending 2m 05s   last hour 123 completed, 3 failed   2.1 a minute');
    expect(text).toMatch(/^ {2}alleycat-1 +running +2\/4 +3s ago +host-a +0\.1\.0$/m);
    expect(text).toMatch(/^> 49 +1m 05s +1 +alleycat-1 +issue number 49 *$/m);
    expect(text).toMatch(/^ {2}90 +10m ago +0 +alleycat-1 +issue number 90$/m);
    expect(text).toMatch(/^ {2}9 +5s ago +1m 00s +alleycat-1 +failed +issue number 9$/m);
  });

  test('of a wide terminal says why an issue failed', () => {
    expect(lines({}, {}, { width: 140 }).join('\n')).toMatch(/failed +issue number 9 +exit code 3: no such file$/m);
  });

  test('keeps the chosen row in sight, wherever in its part it is', () => {
    for (const id of [90, 75, 61]) {
      expect(
        lines({ chosen: `issue ${id}` }, {}).filter((line) => line.startsWith(`> ${id} `)),
        String(id),
      ).toHaveLength(1);
    }
  });

  test('measures by the clock of the database', () => {
    const behind = overview({ clockOffset: 60_000 });
    expect(lines({}, { overview: behind }).join('\n')).toMatch(/ 50 +2m 05s /);
  });

  test('of few lines leaves out what is empty; what is left out can not be chosen', () => {
    const seen = overview({ running: [], ended: [] });
    const options = { width: 60, height: 14, now: NOW, database: '', trouble: null, paint: pc.createColors(false) };
    const text = frameOf(START, { overview: seen, output: null }, options).join('\n');
    expect(text).not.toMatch(/RUNNING|ENDED/);
    expect(text).toMatch(/WORKERS[\s\S]*PENDING/);
    expect(keysOf(seen, options).slice(0, 3)).toEqual(['worker alleycat-1', 'worker alleycat-2', 'issue 90']);
  });

  test.each<[string, Partial<Overview>]>([
    ['! all workers are paused; p resumes', { everybodyPaused: true }],
    ['! no worker is running: cape-worker --worker-id <name>', { workers: [worker('a', { silent_ms: 60_000 })] }],
    [
      '! 4 pending for worker b, which is not there',
      { stats: { ...overview().stats, stranded: [{ worker_id: 'b', issues: 4, seen: false }] } },
    ],
  ])('says %j', (line, more) => {
    expect(lines({}, { overview: overview(more) })).toContain(line);
  });

  test('with times of infinity, or without any, has empty cells', () => {
    const never = issue(77, 'pending', { run_at: new Date(Number.NaN), created_at: new Date(Number.NaN) });
    const odd = issue(78, 'cancelled', { started_at: null, completed_at: null });
    const text = lines({}, { overview: overview({ pending: [never], ended: [odd] }) }).join('\n');
    expect(text).toMatch(/ 77 .*issue number 77 +waits for good/);
    expect(text).toMatch(/ 78 +alleycat-1 +cancelled/);
    expect(text).not.toContain('NaN');
  });
});

/** The overview as rows: workers, what runs, what waits, what has ended. All texts are made safe here. */
import type { WorkerRow } from '../client.js';
import type { Issue } from '../core/issue.js';
import { firstLine, oneLine } from '../core/text.js';
import { agoText, durationText } from './output.js';
import type { Overview } from './top-overview.js';
import { type Paint, statusPaint, workerPaint } from './top-paint.js';
import type { Column, Row, Section } from './top-table.js';
import { stateOf } from './workers.js';

export type SectionName = 'workers' | 'running' | 'pending' | 'ended';
export type Sections = Readonly<Record<SectionName, Section>>;

/** No column is wider: of a text of megabytes no more is looked at. */
const LONGEST = 500;
const WIDE = 120;
type Width = Pick<Column, 'width'>;
const NO_MATCH = 'none that match';

export const keyOfIssue = (id: number) => `issue ${id}`;
export const keyOfWorker = (id: string) => `worker ${id}`;

/** The issue or worker of a row's key. */
export function meantBy(key: string | null): { issue?: number; worker?: string } {
  const [, kind, id = ''] = /^(issue|worker) (.*)$/s.exec(key ?? '') ?? [];
  if (kind === 'issue') return { issue: Number(id) };
  return kind === 'worker' ? { worker: id } : {};
}

export interface SectionOptions {
  /** This host's clock, milliseconds. */
  readonly now: number;
  /** Of the terminal. */
  readonly width: number;
  readonly paint: Paint;
  /** Some issues may not be among those read. */
  readonly filtered?: boolean;
}

export function sectionsOf(overview: Overview, { now, width, paint, filtered = false }: SectionOptions): Sections {
  const there = now + overview.clockOffset;
  const all = [...overview.running, ...overview.pending, ...overview.ended];
  const ids = { width: Math.max(8, ...all.map(({ id }) => String(id).length)) };
  const who = { width: width < 80 ? 10 : width < WIDE ? 16 : 24 };
  return {
    workers: workersSection(overview.workers, { width, paint }),
    running: {
      columns: [
        { title: 'RUNNING', ...ids },
        { title: 'TIME', width: 8 },
        { title: 'TRY', width: 3, from: 80 },
        { title: 'WORKER', ...who },
        { title: 'ISSUE' },
      ],
      rows: overview.running.map((issue) => ({
        ...issueRow(issue, [sinceText(issue.started_at, there), String(issue.attempt), workerOf(issue)]),
        paint: { cell: 1, by: paint.blue },
      })),
      empty: filtered ? NO_MATCH : 'nothing runs',
    },
    pending: {
      columns: [
        { title: 'PENDING', ...ids },
        { title: 'ADDED', width: 8 },
        { title: 'PRIO', width: 5, from: 80 },
        { title: 'FOR', ...who },
        { title: 'ISSUE' },
        { title: '', width: 14, from: 80 },
      ],
      rows: overview.pending.map((issue) => {
        const row = issueRow(issue, [agoCell(issue.created_at, there), String(issue.priority), workerOf(issue)]);
        return { ...row, cells: [...row.cells, waitText(issue.run_at, there)] };
      }),
      empty: filtered ? NO_MATCH : 'nothing waits',
    },
    ended: endedSection(overview.ended, { there, ids, who, paint, filtered }),
  };
}

function workersSection(workers: readonly WorkerRow[], { width, paint }: { width: number; paint: Paint }): Section {
  return {
    columns: [
      { title: 'WORKERS', width: width < 80 ? 16 : 24 },
      { title: 'STATE', width: 8 },
      { title: 'SLOTS', width: 7 },
      { title: 'HEARD', width: 8 },
      { title: 'HOST' },
      { title: 'VERSION', width: 10, from: 100 },
    ],
    rows: workers.map((row) => {
      const state = stateOf(row);
      const heard = agoText(row.silent_ms);
      return {
        key: keyOfWorker(row.id),
        cells: [oneLine(row.id), state, `${row.running}/${row.slots}`, heard, oneLine(row.host), oneLine(row.version)],
        paint: { cell: 1, by: workerPaint(paint, state) },
      };
    }),
    empty: 'no worker has been seen yet: cape-worker --worker-id <name>',
  };
}

function endedSection(
  ended: readonly Issue[],
  { there, ids, who, paint, filtered }: { there: number; ids: Width; who: Width; paint: Paint; filtered: boolean },
): Section {
  return {
    columns: [
      { title: 'ENDED', ...ids },
      { title: 'AGO', width: 8 },
      { title: 'TOOK', width: 8, from: 80 },
      { title: 'WORKER', ...who, from: 100 },
      { title: 'STATUS', width: 9 },
      { title: 'ISSUE', share: 3 },
      { title: 'WHY', share: 2, from: WIDE },
    ],
    rows: ended.map((issue) => {
      const { completed_at: end, started_at: start, status } = issue;
      const took = start && end ? lastedText(end.getTime() - start.getTime()) : '';
      const why = status === 'failed' || status === 'cancelled' ? firstLine(issue.last_error ?? '', LONGEST) : '';
      const row = issueRow(issue, [agoCell(end, there), took, workerOf(issue), oneLine(status)]);
      return { ...row, cells: [...row.cells, why], paint: { cell: 4, by: statusPaint(paint, status) } };
    }),
    empty: filtered ? NO_MATCH : 'nothing has ended',
  };
}

/** Its id first, its text last. */
function issueRow(issue: Issue, between: readonly string[]): Row {
  return { key: keyOfIssue(issue.id), cells: [String(issue.id), ...between, firstLine(issue.description, LONGEST)] };
}

function workerOf(issue: Issue): string {
  return oneLine(issue.assigned_worker_id ?? '');
}

/** Whole seconds: a clock that runs must not jump about. Times of infinity give nothing. */
export function lastedText(ms: number): string {
  if (!Number.isFinite(ms)) return '';
  return ms < 60_000 ? `${Math.max(0, Math.floor(ms / 1000))}s` : durationText(ms);
}

function sinceText(time: Date | null, now: number): string {
  return time === null ? '' : lastedText(now - time.getTime());
}

function agoCell(time: Date | null, now: number): string {
  const ms = time === null ? Number.NaN : now - time.getTime();
  return Number.isFinite(ms) ? agoText(ms) : '';
}

function waitText(runAt: Date | null, now: number): string {
  if (runAt === null) return '';
  const ms = runAt.getTime() - now;
  return Number.isFinite(ms) ? `in ${lastedText(ms)}` : 'waits for good';
}

/** The page of one issue: what it is, what became of it, and the output of one of its attempts. */
import type { Attempt, Issue } from '../core/issue.js';
import { firstLine, oneLine } from '../core/text.js';
import { cut, widthOf } from './top-cells.js';
import type { Model } from './top-model.js';
import { type Paint, statusPaint } from './top-paint.js';
import { lastedText } from './top-sections.js';

export interface OutputPage {
  readonly issue: Issue;
  readonly attempts: readonly Attempt[];
  /** The one whose output this is; undefined before the first. */
  readonly attempt: Attempt | undefined;
  /** Number of the first row that is kept. */
  readonly first: number;
  readonly rows: readonly string[];
  /** Where the rest is. */
  readonly note: string | null;
}

/** Lines of the page that are no output. */
const HEAD = 3;

/** Rows of output that are seen at once; one more line is the screen's last, for the keys. */
export function outputHeight(page: Pick<OutputPage, 'note'>, height: number): number {
  return Math.max(1, height - HEAD - 1 - (page.note === null ? 0 : 1));
}

export function outputLines(
  page: OutputPage,
  model: Model,
  {
    width,
    height,
    now,
    clockOffset,
    trouble,
    paint,
  }: { width: number; height: number; now: number; clockOffset: number; trouble: string | null; paint: Paint },
): string[] {
  const { first, rows } = page;
  const note = trouble ?? page.note;
  const seen = outputHeight({ note }, height);
  const top = model.output?.top ?? null;
  const last = Math.max(0, rows.length - seen);
  // What was looked at may have been forgotten meanwhile.
  const from = top === null ? last : Math.max(0, Math.min(last, top - first));
  const shown = rows.slice(from, from + seen);
  const place =
    top === null ? 'following' : `${first + from + 1}-${first + from + shown.length} of ${first + rows.length}`;
  return [
    ...headOf(page, { place, width, there: now + clockOffset, paint }),
    ...shown,
    ...Array(Math.max(0, seen - shown.length)).fill(''),
    ...(note === null ? [] : [(trouble === null ? paint.yellow : paint.red)(cut(oneLine(note), width))]),
  ];
}

function headOf(
  { issue, attempt, attempts }: OutputPage,
  { place, width, there, paint }: { place: string; width: number; there: number; paint: Paint },
): string[] {
  const name = `issue ${issue.id}  `;
  const status = oneLine(issue.status);
  const room = width - widthOf(name + status) - place.length - 2;
  const rest = room < 0 ? '' : cut(attempt ? `  ${attemptText(attempt, attempts, there)}` : '', room);
  const space = ' '.repeat(Math.max(0, room - widthOf(rest)) + 2);
  const line = paint.bold(name) + statusPaint(paint, issue.status)(status) + rest + space + paint.dim(place);
  return [
    room < 0 ? cut(name + status, width) : line,
    cut(firstLine(issue.description, 2 * width), width),
    paint.red(cut(firstLine(attempt?.error ?? (attempt ? '' : (issue.last_error ?? '')), 2 * width), width)),
  ];
}

function attemptText(attempt: Attempt, attempts: readonly Attempt[], there: number): string {
  const { attempt: number, started_at: start, ended_at: end, outcome, exit_code: code } = attempt;
  const lasted = lastedText((end?.getTime() ?? there) - start.getTime());
  const latest = attempts.at(-1)?.attempt;
  const of = latest === undefined || latest === number ? '' : ` of ${latest}`;
  const how = outcome === null ? '' : `  ${oneLine(outcome)}${code === null ? '' : ` (exit ${code})`}`;
  return `try ${number}${of}  ${lasted}${how}  on ${oneLine(attempt.worker_id)}`;
}

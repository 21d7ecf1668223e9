/** How results are printed: tables and words for people, JSON for programs. Issue text never reaches a terminal raw. */
import { stripVTControlCharacters } from 'node:util';
import pc from 'picocolors';
import type { Status } from '../core/issue.js';
import { firstLine, oneLine, safeJson } from '../core/text.js';

/** Colours on a terminal only (picocolors also minds NO_COLOR). */
const colors = pc.createColors(process.stdout.isTTY === true && pc.isColorSupported);

export function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

export function printJson(value: unknown): void {
  process.stdout.write(`${safeJson(value, 2)}\n`);
}

const NO_BORDERS = Object.fromEntries(
  'top top-mid top-left top-right bottom bottom-mid bottom-left bottom-right left left-mid mid mid-mid right right-mid'
    .split(' ')
    .map((place) => [place, '']),
);

/** Columns with a heading. Cells are one line of safe text each; colours in them do not count as width. */
export async function printTable(head: readonly string[], rows: readonly (readonly string[])[]): Promise<void> {
  const { default: Table } = await import('cli-table3');
  const table = new Table({
    head: head.map((title) => colors.bold(title)),
    chars: { ...NO_BORDERS, middle: '  ' },
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
  });
  table.push(...rows.map((row) => [...row]));
  // Nothing to trim at the end of a line that is only padding.
  print(table.toString().replace(/[ \t]+$/gm, ''));
}

/** The same, where the last cells hold free text: each is cut so that its line fits the terminal. */
export async function printFittedTable(head: readonly string[], rows: readonly (readonly string[])[]): Promise<void> {
  const columns = head.slice(0, -1).map((_, column) => [head, ...rows].map((cells) => cells[column] ?? ''));
  const taken = columns.map((cells) => Math.max(...cells.map((cell) => stripVTControlCharacters(cell).length)) + 2);
  const rest = lineWidth() - taken.reduce((sum, width) => sum + width, 0);
  const width = Math.max(20, rest);
  await printTable(
    head,
    rows.map((cells) => [...cells.slice(0, -1), firstLine(cells.at(-1) ?? '', width)]),
  );
}

/** `name   value` lines. */
export function printFields(fields: readonly (readonly [name: string, value: string])[]): void {
  const width = Math.max(...fields.map(([name]) => name.length));
  for (const [name, value] of fields) print(`${colors.dim(name.padEnd(width))}  ${value}`);
}

export function title(text: string): string {
  return colors.bold(text);
}

/** Fine, not fine, or (null) worth knowing. */
export function mark(ok: boolean | null): string {
  if (ok === null) return colors.yellow('!');
  return ok ? colors.green('✓') : colors.red('✗');
}

const STATUS_COLORS: Readonly<Record<Status, (text: string) => string>> = {
  pending: colors.yellow,
  started: colors.blue,
  completed: colors.green,
  failed: colors.red,
  cancelled: colors.dim,
};

/** A status in its colour. One that somebody wrote by hand stays plain, and safe. */
export function statusText(status: string): string {
  return STATUS_COLORS[status as Status]?.(status) ?? oneLine(status);
}

/** `1h 03m`, `2m 05s`, `4.2 s`, `12 ms`: two units at most. */
export function durationText(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(Math.floor(ms / 100) / 10).toFixed(1)} s`;
  const seconds = Math.floor(ms / 1000);
  const two = (value: number) => String(value).padStart(2, '0');
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m ${two(seconds % 60)}s`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)}h ${two(Math.floor(seconds / 60) % 60)}m`;
  return `${Math.floor(seconds / 86_400)}d ${two(Math.floor(seconds / 3600) % 24)}h`;
}

/** `2026-03-01 14:05:09`, local time. */
export function timeText(time: Date): string {
  // Postgres has such times and a Date has not; which of the two it was is lost.
  if (Number.isNaN(time.getTime())) return '±infinity';
  const two = (value: number) => String(value).padStart(2, '0');
  const day = `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}`;
  return `${day} ${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`;
}

/** The same for a table: `3m ago` where the terminal is narrow. */
export function timeCell(time: Date): string {
  return isNarrow() && !Number.isNaN(time.getTime()) ? agoText(Date.now() - time.getTime()) : timeText(time);
}

/** `12s ago`, `3m ago`, `2d ago`: one unit, the largest that is not zero. */
export function agoText(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return `${seconds}s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m ago`;
  return seconds < 86_400 ? `${Math.floor(seconds / 3600)}h ago` : `${Math.floor(seconds / 86_400)}d ago`;
}

/** True where a table must do with less: whole times and every column take about 100 characters. */
export function isNarrow(): boolean {
  return lineWidth() < 100;
}

/** Characters that a line of text may take; without a terminal there is no width to mind. */
export function lineWidth(): number {
  return process.stdout.isTTY ? Math.max(40, process.stdout.columns) : 120;
}

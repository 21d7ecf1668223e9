/** `top --once`: the overview as plain text or JSON, for a pipe, a log, or a look in passing. */
import { oneLine, safeJson } from '../core/text.js';
import { lineWidth } from './output.js';
import { concernOf, numbersOf } from './top-header.js';
import type { Overview } from './top-overview.js';
import { paintFor } from './top-paint.js';
import { sectionsOf } from './top-sections.js';
import { linesOf } from './top-table.js';
import { stateOf } from './workers.js';

/** Issues of a kind. */
export const SNAPSHOT_ROWS = 20;

export function snapshotText(database: string, overview: Overview, out: { readonly isTTY?: boolean }): string {
  const paint = paintFor(out);
  // A line that fills the terminal would break in some.
  const width = lineWidth() - 1;
  const sections = sectionsOf(overview, { now: Date.now(), width, paint });
  const concern = concernOf(overview);
  const parts = Object.values(sections).flatMap((section) => [
    '',
    ...linesOf(section, { rows: section.rows.length || 1, width, chosen: null, paint }),
  ]);
  return [
    paint.bold(oneLine(database)),
    ...numbersOf(overview).map((numbers) => numbers.join('   ')),
    ...(concern === null ? [] : [paint.yellow(`! ${oneLine(concern)}`)]),
    ...parts,
  ].join('\n');
}

export function snapshotJson(database: string, overview: Overview): string {
  const { stats, everybodyPaused, workers, running, pending, ended } = overview;
  return safeJson(
    {
      ...{ database, ...stats, all_paused: everybodyPaused },
      workers: workers.map((row) => ({ ...row, state: stateOf(row) })),
      issues: { running, pending, ended },
    },
    2,
  );
}

/** The whole screen as lines: the overview, an issue's output, or the help; and what the keys do, below. */
import { oneLine } from '../core/text.js';
import { cut, tailOf } from './top-cells.js';
import { headerOf } from './top-header.js';
import { helpOf } from './top-help.js';
import type { Model } from './top-model.js';
import { type OutputPage, outputLines } from './top-output-page.js';
import type { Overview } from './top-overview.js';
import type { Paint } from './top-paint.js';
import { type SectionName, type Sections, sectionsOf } from './top-sections.js';
import { linesOf } from './top-table.js';

export interface FrameOptions {
  readonly width: number;
  readonly height: number;
  /** This host's clock, milliseconds. */
  readonly now: number;
  readonly database: string;
  readonly trouble: string | null;
  readonly paint: Paint;
}

export interface Seen {
  readonly overview: Overview;
  readonly output: OutputPage | null;
}

/** At most `height` lines of at most `width` columns. */
export function frameOf(model: Model, seen: Seen, options: FrameOptions): string[] {
  const { height, width, paint } = options;
  const body = model.help
    ? helpOf(width).map((line) => cut(line, width))
    : model.page === 'output' && seen.output
      ? outputLines(seen.output, model, { ...options, clockOffset: seen.overview.clockOffset })
      : overviewLines(model, seen.overview, options);
  const room = Math.max(0, height - 1);
  const filled = [...body.slice(0, room), ...Array(Math.max(0, room - body.length)).fill('')];
  return [...filled, footerOf(model, width, paint)].slice(0, height);
}

/** From top to bottom. */
const ORDER: readonly SectionName[] = ['workers', 'running', 'pending', 'ended'];
/** Who gets a row first where there are few. */
const NEEDED: readonly SectionName[] = ['running', 'ended', 'workers', 'pending'];
/** From so many lines on, an empty one stands between the parts. */
const ROOMY = 24;

function overviewLines(model: Model, overview: Overview, options: FrameOptions): string[] {
  const { width, height, paint } = options;
  const head = headerOf(overview, options);
  const sections = sectionsOf(overview, { ...options, filtered: model.filter !== '' });
  const gaps = height >= ROOMY ? 1 : 0;
  const rooms = roomsOf(sections, height - head.length - 1, gaps);
  return [
    ...head,
    ...ORDER.filter((name) => rooms[name] > 0).flatMap((name) => [
      ...Array(gaps).fill(''),
      ...linesOf(sections[name], { rows: rooms[name], width, chosen: model.chosen, paint }),
    ]),
  ];
}

/**
 * How many rows each part gets: a row to each in turn, as long as there are lines and rows. Where lines are few, a part
 * that is empty gets what the others leave: the header says as much.
 */
export function roomsOf(sections: Sections, lines: number, gap: number): Record<SectionName, number> {
  const rooms: Record<SectionName, number> = { workers: 0, running: 0, pending: 0, ended: 0 };
  const full = NEEDED.filter((name) => sections[name].rows.length > 0);
  const turns = gap > 0 ? [NEEDED] : [full, NEEDED];
  let left = lines;
  for (const names of turns) {
    for (let gave = true; gave; ) {
      gave = false;
      for (const name of names) {
        const price = rooms[name] === 0 ? 2 + gap : 1;
        if (rooms[name] >= Math.max(1, sections[name].rows.length) || left < price) continue;
        rooms[name] += 1;
        left -= price;
        gave = true;
      }
    }
  }
  return rooms;
}

/** The keys of the rows from top to bottom, of those parts that are shown. */
export function keysOf(overview: Overview, options: FrameOptions): string[] {
  const sections = sectionsOf(overview, options);
  const head = headerOf(overview, options).length;
  const rooms = roomsOf(sections, options.height - head - 1, options.height >= ROOMY ? 1 : 0);
  return ORDER.filter((name) => rooms[name] > 0).flatMap((name) => sections[name].rows.map(({ key }) => key));
}

const HINTS = {
  overview: ['q quit', '? help', 'enter output', 'r retry', 'c cancel', 'p pause', '/ filter', 'j k move'],
  output: ['esc back', '? help', 'f follow', 'r retry', 'c cancel', '[ ] attempts', 'j k space g G scroll'],
} as const;

function footerOf(model: Model, width: number, paint: Paint): string {
  if (model.question) return paint.yellow(cut(`${oneLine(model.question.text)} y / n`, width));
  // The end of what is being typed stays in sight.
  if (model.typing !== null) return cut(`/${tailOf(oneLine(model.typing), width - 2)}_`, width);
  if (model.notice !== null) return paint.yellow(cut(oneLine(model.notice), width));
  const filtered = model.page === 'overview' && model.filter !== '' && !model.help;
  const parts = [
    ...(filtered ? [`filter: ${cut(oneLine(model.filter), 30)} (esc ends it)`] : []),
    ...(model.help ? ['any key: back'] : HINTS[model.page]),
  ];
  const line = parts.reduce((all, part) => (all.length + part.length + 3 <= width ? `${all}   ${part}` : all));
  return paint.dim(cut(line, width));
}

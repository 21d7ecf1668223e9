/** The first lines of the overview: the numbers, and what a person should know at once. */
import type { Stats } from '../client.js';
import { oneLine } from '../core/text.js';
import { cut, widthOf } from './top-cells.js';
import type { Overview } from './top-overview.js';
import type { Paint } from './top-paint.js';
import { lastedText } from './top-sections.js';
import { stateOf } from './workers.js';

export interface HeaderOptions {
  readonly database: string;
  /** This host's clock. */
  readonly now: number;
  readonly width: number;
  /** The database is away, say. */
  readonly trouble: string | null;
  readonly paint: Paint;
}

export function headerOf(overview: Overview, { database, now, width, trouble, paint }: HeaderOptions): string[] {
  const clock = timeOfDay(now);
  const name = cut(`cape-worker top  ${oneLine(database)}`, width - clock.length - 2);
  const space = ' '.repeat(Math.max(1, width - widthOf(name) - clock.length));
  const alarm = trouble ?? concernOf(overview);
  return [
    paint.bold(cut(name + space + clock, width)),
    ...numbersOf(overview).map((parts) => asFit(parts, width)),
    ...(alarm === null ? [] : [(trouble === null ? paint.yellow : paint.red)(cut(`! ${oneLine(alarm)}`, width))]),
  ];
}

/** `14:05:09`, of this host. */
export function timeOfDay(ms: number): string {
  return new Date(ms).toTimeString().slice(0, 8);
}

/** The numbers in two lines, the less important ones last: a narrow terminal has no room for those. */
export function numbersOf({ stats, workers }: Overview): [string[], string[]] {
  const present = workers.filter((row) => ['running', 'paused'].includes(stateOf(row)));
  const slots = present.reduce((sum, row) => sum + row.slots, 0);
  const number = numberIn(stats);
  const oldest = stats.oldest_pending_seconds;
  const ended = stats.completed_last_hour + stats.failed_last_hour;
  return [
    [
      `pending ${number('pending')}${stats.parked > 0 ? ` (${number('parked')} later)` : ''}`,
      `running ${number('started')}/${slots}`,
      `completed ${number('completed')}`,
      `failed ${number('failed')}`,
      `cancelled ${number('cancelled')}`,
      ...(stats.other > 0 ? [`other ${number('other')}`] : []),
    ],
    [
      `oldest pending ${oldest === null ? '-' : lastedText(oldest * 1000)}`,
      `last hour ${number('completed_last_hour')} completed, ${number('failed_last_hour')} failed`,
      `${rateText(ended / 60)} a minute`,
    ],
  ];
}

/** Of millions of rows some numbers are estimates. */
function numberIn(stats: Stats): (name: Exclude<keyof Stats, 'stranded' | 'estimated'>) => string {
  return (name) => `${stats.estimated.includes(name) ? '~' : ''}${(stats[name] ?? 0).toLocaleString('en-US')}`;
}

function rateText(perMinute: number): string {
  return perMinute < 10 ? perMinute.toFixed(1) : Math.round(perMinute).toLocaleString('en-US');
}

/** Why what waits does wait. */
export function concernOf({ stats, workers, everybodyPaused }: Overview): string | null {
  if (everybodyPaused) return 'all workers are paused; p resumes';
  if (stats.pending > 0 && workers.every((row) => ['stopped', 'stale'].includes(stateOf(row)))) {
    return 'no worker is running: cape-worker --worker-id <name>';
  }
  const [first] = stats.stranded;
  if (!first) return null;
  const all = stats.stranded.reduce((sum, { issues }) => sum + issues, 0);
  const whom = stats.stranded.length === 1 ? `worker ${first.worker_id}, which is` : 'workers which are';
  return `${stats.estimated.includes('stranded') ? 'at least ' : ''}${all} pending for ${whom} not there`;
}

/** As many of the parts as fit, from the first on. */
function asFit(parts: readonly string[], width: number): string {
  const [first = '', ...rest] = parts;
  return rest.reduce(
    (line, part) => {
      const longer = `${line}   ${part}`;
      return widthOf(longer) <= width ? longer : line;
    },
    cut(first, width),
  );
}

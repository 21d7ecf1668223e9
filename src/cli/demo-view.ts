/** How the demo shows its issues while they run: a table in place on a terminal, a line per event elsewhere. */
import { firstLine } from '../core/text.js';
import type { Seen } from './demo-issues.js';
import { lineWidth, statusText, title } from './output.js';

export interface DemoView {
  /** Shows how things are now. */
  show(seen: readonly Seen[]): void;
  /** Ends the view; what is written from here on stands by itself. */
  done(): void;
}

/** The live view; `log-update` and what it needs are loaded for it alone. */
export async function liveView(out: NodeJS.WriteStream): Promise<DemoView> {
  const { createLogUpdate } = await import('log-update');
  const update = createLogUpdate(out);
  return {
    show: (seen) => update(tableOf(seen, lineWidth()).join('\n')),
    // The results that follow say all of it again.
    done() {
      update.clear();
      update.done();
    },
  };
}

const HEAD = ['ID', 'STATUS', 'ATTEMPT', 'TIME', 'ISSUE', 'LAST OUTPUT'];
/** Of the first four columns; the last two share the rest. */
const WIDTHS = [2, 9, 7, 6] as const;
const GAP = '  ';
const LONGEST_TEXT = 32;

/** Lines of at most `width - 1` characters: a line that fills the terminal would break in some. */
function tableOf(seen: readonly Seen[], width: number): string[] {
  const taken = WIDTHS.reduce((sum, column) => sum + column + GAP.length, 0) + GAP.length;
  const rest = Math.max(0, width - 1 - taken);
  const textWidth = Math.min(LONGEST_TEXT, Math.floor(rest / 2));
  const widths = [...WIDTHS, textWidth, rest - textWidth];
  const line = (cells: readonly string[]) => cells.map((cell, i) => fitted(cell, widths[i] ?? 0));
  return [
    title(line(HEAD).join(GAP).trimEnd()),
    ...seen.map((one) => {
      const cells = line(cellsOf(one));
      // Coloured once it is padded: colours must not count as width.
      cells[1] = (cells[1] as string).replace(one.issue.status, statusText);
      return cells.join(GAP).trimEnd();
    }),
  ];
}

function cellsOf(one: Seen): string[] {
  const { issue, attempts } = one;
  const attempt = attempts.at(-1);
  return [
    String(issue.id),
    issue.status,
    attempt ? String(attempt.attempt) : '',
    attempt ? secondsText((attempt.ended_at?.getTime() ?? Date.now()) - attempt.started_at.getTime()) : '',
    issue.description,
    newsOf(one),
  ];
}

/** What it prints while it runs, then what became of it. */
function newsOf({ issue, lastLine }: Seen): string {
  if (issue.status === 'started') return lastLine;
  if (issue.status === 'completed') return issue.result ?? lastLine;
  if (issue.status === 'pending' && issue.last_error !== null) return `${issue.last_error}; waits for its next attempt`;
  return issue.last_error ?? '';
}

function fitted(text: string, width: number): string {
  return firstLine(text, width).padEnd(width);
}

/** One unit for all: a clock that runs must not jump from "999 ms" to "1.0 s". */
function secondsText(ms: number): string {
  return `${(Math.max(0, ms) / 1000).toFixed(1)} s`;
}

/** A line for every attempt that began or ended since the last look, told from history: none is missed between looks. */
export function plainView(write: (line: string) => void): DemoView {
  const begun = performance.now();
  const told = new Map<number, number>();
  return {
    show(seen) {
      const time = secondsText(performance.now() - begun).padStart(6);
      const news = seen.flatMap((one) => {
        const events = eventsOf(one);
        const before = told.get(one.issue.id) ?? 0;
        told.set(one.issue.id, events.length);
        return events.slice(before);
      });
      for (const { text } of news.sort((a, b) => a.at - b.at)) write(`${time}  ${text}`);
    },
    done: () => write(''),
  };
}

interface Event {
  /** Milliseconds of the database's clock. */
  readonly at: number;
  readonly text: string;
}

function eventsOf({ issue, attempts }: Seen): Event[] {
  return attempts.flatMap((attempt) => {
    const name = `issue ${issue.id}, attempt ${attempt.attempt}`;
    const text = `${name}: started (${firstLine(issue.description, LONGEST_TEXT)})`;
    const started = { at: attempt.started_at.getTime(), text };
    if (attempt.ended_at === null) return [started];
    const why = attempt.error === null ? '' : `: ${firstLine(attempt.error, 100)}`;
    const outcome = (attempt.outcome ?? 'ended').replace('_', ' ');
    return [started, { at: attempt.ended_at.getTime(), text: `${name}: ${outcome}${why}` }];
  });
}

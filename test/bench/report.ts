/** The results as Markdown: goals first, then a table per line. */
import type { Figure, Plot } from './line.js';
import type { LineResult, Results } from './results.js';
import { median, short } from './statistics.js';

const FROM = '<!-- from here to the end marker: written by npm run bench -->';
const TO = '<!-- end of what npm run bench writes -->';

/** @param plotPath where the page finds the drawing of a plot */
export function markdownOf(results: Results, plotPath: (plot: Plot) => string): string {
  const { machine, lines } = results;
  return [
    '## Goals',
    ...goalsTable(lines),
    '## The machine',
    table(
      ['', ''],
      machine.map(([what, value]) => [what, value]),
    ),
    ...lines.flatMap((line) => section(line, plotPath)),
  ].join('\n\n');
}

function goalsTable(lines: readonly LineResult[]): string[] {
  const rows = lines.flatMap(({ title, measured, failure }) =>
    failure === null
      ? (measured?.goals ?? []).map(({ what, goal, reached, met }) => [
          what,
          goal,
          reached,
          met ? 'met' : '**not met**',
        ])
      : [[title, '', 'not measured: the line failed', '**not met**']],
  );
  return rows.length === 0 ? ['None of these lines has one.'] : [table(['Line', 'Goal', 'Reached', ''], rows)];
}

function section(
  { title, when, rounds, load, measured, failure }: LineResult,
  plotPath: (plot: Plot) => string,
): string[] {
  const head = [`## ${title}`];
  if (measured === null) return [...head, `Failed: ${failure}`];
  const { figures, notes, plots = [] } = measured;
  return [
    ...head,
    ...(figures.length === 0 ? [] : [figureTable(figures)]),
    ...plots.map((plot) => `![${plot.title}](${plotPath(plot)})`),
    notes.map((note) => `- ${note}`).join('\n'),
    `Measured ${when} UTC, ${rounds === 1 ? 'one round' : `${rounds} rounds by turns`}, load average ${load} before.`,
  ].filter(Boolean);
}

/** Samples of one round have no spread to show. */
function figureTable(figures: readonly Figure[]): string {
  const rows = figures.map(({ contender, figure, unit, samples }) => {
    const spread = samples.length > 1 ? [short(Math.min(...samples)), short(Math.max(...samples))] : ['', ''];
    return [
      contender,
      figure === unit || unit === '' ? figure : `${figure}, ${unit}`,
      `**${short(median(samples))}**`,
      ...spread,
    ];
  });
  return table(['Who', 'What', 'Median', 'Least', 'Greatest'], rows);
}

/** With columns of one width: the source is read too. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = [head, ...rows].map((row) => row.map((cell) => cell.replaceAll('|', '\\|').replaceAll('\n', ' ')));
  const widths = head.map((_, at) => Math.max(3, ...cells.map((row) => row[at]?.length ?? 0)));
  const line = (row: readonly string[]) =>
    `| ${widths.map((width, at) => (row[at] ?? '').padEnd(width)).join(' | ')} |`;
  return [
    line(cells[0]!),
    `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`,
    ...cells.slice(1).map(line),
  ].join('\n');
}

/** The page with its generated part replaced; what people wrote around it stays. @throws Error where it has no markers */
export function insertInto(page: string, generated: string): string {
  const [from, to] = [page.indexOf(FROM), page.indexOf(TO)];
  if (from < 0 || to < from) throw new Error(`the page has no lines "${FROM}" and "${TO}" for the results`);
  return `${page.slice(0, from + FROM.length)}\n\n${generated}\n\n${page.slice(to)}`;
}

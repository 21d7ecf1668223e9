/** Where results go: to stdout always, into docs/ after a real run. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { LINES } from './lines.js';
import type { Options } from './options.js';
import { svgOf } from './plot.js';
import { insertInto, markdownOf } from './report.js';
import { merged, type Results } from './results.js';

const DOCS = join(import.meta.dirname, '..', '..', 'docs');
const PAGE = join(DOCS, 'benchmarks.md');
const FOLDER = join(DOCS, 'benchmarks');
const JSON_FILE = join(FOLDER, 'results.json');

/** Drawings too, so that a quick run shows that they can be made. */
export function print(results: Results, { json }: Pick<Options, 'json'>): void {
  for (const { measured } of results.lines) measured?.plots?.forEach(svgOf);
  const text = json ? JSON.stringify(results, null, 2) : markdownOf(results, ({ name }) => `${name}.svg`);
  const warning =
    results.scale === 'quick' ? 'A quick run: it shows that everything runs, its numbers say nothing.\n\n' : '';
  process.stdout.write(`${json ? '' : warning}${text}\n`);
}

/** @returns the files that were written */
export function write(now: Results): string[] {
  const before = existsSync(JSON_FILE) ? (JSON.parse(readFileSync(JSON_FILE, 'utf8')) as Results) : null;
  const results = merged(
    before,
    now,
    LINES.map(({ name }) => name),
  );
  mkdirSync(FOLDER, { recursive: true });
  const plots = results.lines.flatMap(({ measured }) => measured?.plots ?? []);
  const files = [
    [JSON_FILE, `${JSON.stringify(results, null, 2)}\n`],
    [
      PAGE,
      insertInto(
        readFileSync(PAGE, 'utf8'),
        markdownOf(results, ({ name }) => `benchmarks/${name}.svg`),
      ),
    ],
    ...plots.map((plot) => [join(FOLDER, `${plot.name}.svg`), svgOf(plot)]),
  ] as const;
  for (const [path, text] of files) writeFileSync(path!, text!);
  return files.map(([path]) => path!);
}

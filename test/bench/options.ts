/** The command line of `npm run bench`. */
import { closest, distance } from 'fastest-levenshtein';
import yargs from 'yargs';
import type { Scale } from './line.js';

export interface Options {
  readonly scale: Scale;
  /** Names of lines, in the order of the report. */
  readonly lines: readonly string[];
  /** Whether docs/ is written. */
  readonly write: boolean;
  readonly json: boolean;
}

const ROUNDS = { quick: 1, usual: 5, full: 5 } as const;
const MOST_ROUNDS = 1000;

/** @param fail told what is wrong; must not return */
export function parseOptions(args: readonly string[], known: readonly string[], fail: (why: string) => never): Options {
  const given = yargs([...args])
    .scriptName('npm run bench --')
    .usage(
      '$0 [options]\n\nMeasures cape-worker and its peers by turns, on a Postgres of its own, and writes docs/benchmarks.md.\nSome 25 minutes; nothing else should run meanwhile.',
    )
    .option('quick', {
      type: 'boolean',
      default: false,
      describe: 'Under a minute: shows that all of it runs. Its numbers say nothing, and docs are left alone',
    })
    .option('full', { type: 'boolean', default: false, describe: 'All points of the peers too: hours' })
    .option('only', { type: 'string', describe: `Lines, with commas: ${known.join(', ')}` })
    .option('rounds', { type: 'string', describe: `Turns of each contender; ${ROUNDS.usual} unless said otherwise` })
    .option('write', {
      type: 'boolean',
      describe: 'Write docs/benchmarks.md and docs/benchmarks/; unset: after a run of all lines',
    })
    .option('json', { type: 'boolean', default: false, describe: 'Print the results as JSON' })
    .example('$0 --only drain --rounds 3', 'one line')
    .strict()
    .version(false)
    .exitProcess(true)
    .fail((message, error) => fail(message ?? error.message))
    .parseSync();
  if (given.quick && given.full) fail('--quick, --full: give one of them');
  const name = given.quick ? 'quick' : given.full ? 'full' : 'usual';
  const rounds = given.rounds === undefined ? ROUNDS[name] : roundsOf(given.rounds, fail);
  const lines = given.only === undefined ? known : linesOf(given.only, known, fail);
  if (given.quick && given.write) fail('--write: not with --quick, whose numbers say nothing');
  return {
    scale: { name, rounds },
    lines,
    write: given.write ?? (!given.quick && given.only === undefined),
    json: given.json,
  };
}

/** From the text, since yargs makes NaN of what is no number, and an array of what is given twice. */
function roundsOf(text: unknown, fail: (why: string) => never): number {
  const value = typeof text === 'string' && /^\d+$/.test(text) ? Number(text) : 0;
  if (value < 1 || value > MOST_ROUNDS)
    fail(`--rounds: got "${String(text)}"; must be a whole number from 1 to ${MOST_ROUNDS}`);
  return value;
}

function linesOf(text: unknown, known: readonly string[], fail: (why: string) => never): string[] {
  const wanted = [text]
    .flat()
    .join(',')
    .split(',')
    .map((name) => name.trim())
    .filter(Boolean);
  if (wanted.length === 0) fail(`--only: names no line; there are ${known.join(', ')}`);
  for (const name of wanted) if (!known.includes(name)) fail(`--only: ${unknownLine(name, known)}`);
  return known.filter((name) => wanted.includes(name));
}

function unknownLine(name: string, known: readonly string[]): string {
  const near = closest(name, [...known]);
  const hint = distance(name, near) <= 3 ? `did you mean ${near}?` : `there are ${known.join(', ')}`;
  return `no line is called "${name}"; ${hint}`;
}

/** `npm run chaos`: real workers, real faults, and a judge. Exit code 0: nothing found, 1: violations, 2: could not run. */
import { existsSync } from 'node:fs';
import yargs from 'yargs';
import { hideBin } from 'yargs/helpers';
import { CapeError } from '../../src/core/errors.js';
import { print, reportOf } from './report.js';
import { runChaos } from './run-chaos.js';
import { FENCES, type Fence } from './sabotage.js';
import { PROVOCATION_MINUTES } from './schedule.js';

const MISUSE = 2;

interface Allowed {
  readonly fits: (value: number) => boolean;
  readonly what: string;
}
const MINUTES: Allowed = { fits: (value) => value >= 0.2 && value <= 600, what: 'a number from 0.2 to 600' };
const SEED: Allowed = {
  fits: (value) => Number.isInteger(value) && value >= 0 && value < 2 ** 31,
  what: 'a whole number from 0 to 2147483647',
};

const options = yargs(hideBin(process.argv))
  .scriptName('npm run chaos --')
  .usage(
    '$0 [options]\n\nRuns four workers on a Postgres of its own, strikes them with faults, and checks that nothing was lost or run twice.',
  )
  .option('minutes', {
    type: 'string',
    describe: 'How long faults are injected, 2 unless said otherwise; draining comes on top',
  })
  .option('seed', { type: 'string', describe: 'Gives the same faults and issues again; unset: a new one' })
  .option('without', {
    choices: FENCES,
    describe: 'Run a copy of the program without this fence: must find violations',
  })
  .option('provoke', {
    type: 'boolean',
    default: false,
    describe: 'The faults of --without against the whole program: must find nothing',
  })
  .option('dir', { type: 'string', describe: 'Folder of the run: empty or not there; unset: a temporary one' })
  .option('keep', { type: 'boolean', default: false, describe: 'Keep the folder even where nothing was found' })
  .option('json', { type: 'boolean', default: false, describe: 'Print the report as JSON' })
  .example('$0 --minutes 2 --seed 7', 'two minutes of faults, the same each time')
  .example('$0 --without self-fencing', 'proves that the checker can fail')
  .check((given) => {
    for (const name of ['minutes', 'seed', 'without', 'dir'] as const) {
      const value: unknown = given[name];
      if (Array.isArray(value)) throw new Error(`--${name}: got ${value.join(' and ')}; give it once`);
    }
    numberOf('minutes', given.minutes, MINUTES);
    numberOf('seed', given.seed, SEED);
    return true;
  })
  .strict()
  .version(false)
  .fail((message, error) => {
    console.error(message ?? error.message);
    process.exit(MISUSE);
  })
  .parseSync();

/** From the text, since yargs makes NaN of what is no number, and then nobody knows what was typed. */
function numberOf(name: string, text: string | undefined, { fits, what }: Allowed): number | undefined {
  if (text === undefined) return undefined;
  const value = /^-?\d*\.?\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!fits(value)) throw new Error(`--${name}: got "${text}"; must be ${what}`);
  return value;
}

const interrupted = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const)
  process.on(name, () => {
    if (!interrupted.signal.aborted) console.error('interrupted: ending everything and removing what was made');
    interrupted.abort();
  });

async function main(): Promise<number> {
  if (!existsSync('/proc/self/environ')) {
    console.error('chaos needs /proc to see what is alive: Linux only');
    return MISUSE;
  }
  const seed = numberOf('seed', options.seed, SEED) ?? Math.floor(Math.random() * 1_000_000);
  const say = (line: string) => process.stderr.write(`${line}\n`);
  const given = numberOf('minutes', options.minutes, MINUTES);
  const minutes = given ?? (options.without || options.provoke ? PROVOCATION_MINUTES : 2);
  say(`seed ${seed}, ${minutes} minutes`);
  const chaos = {
    seed,
    minutes,
    without: (options.without as Fence | undefined) ?? null,
    provoke: options.provoke,
    dir: options.dir ?? null,
    keep: options.keep,
    say,
    signal: interrupted.signal,
  };
  const report = reportOf(await runChaos(chaos), chaos);
  if (options.json) process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
  else print(report, (line) => process.stdout.write(`${line}\n`));
  return report.violations.length === 0 ? 0 : 1;
}

/**
 * Not by letting the loop run dry: once in some thirty runs Node 20 then stayed for ever in the clean-up of its handles,
 * with a processor of its own. What was printed has to be out first.
 */
function leave(code: number): void {
  process.stdout.write('', () => process.exit(code));
}

main().then(leave, (error) => {
  if (!interrupted.signal.aborted) console.error(error instanceof CapeError ? error.message : error);
  leave(interrupted.signal.aborted ? 130 : MISUSE);
});

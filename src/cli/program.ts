/**
 * The command line, read. yargs splits it and writes the help; nothing is run from inside yargs, so that a command's
 * own errors never pass through its failure handling.
 */
import yargs, { type Argv, type CommandModule } from 'yargs';
import { CapeError } from '../core/errors.js';
import { programVersion } from '../db/migration-files.js';
import type { Command, Listed } from './command.js';
import { COMMANDS, DEFAULT_COMMAND, GROUPS } from './commands.js';
import { lineWidth } from './output.js';
import { type Asked, refuseTwice, show, unknownCommand, usageError } from './usage-errors.js';

export type Parsed =
  | { readonly kind: 'text'; readonly text: string }
  | {
      readonly kind: 'command';
      readonly command: Command;
      readonly words: readonly string[];
      readonly flags: Readonly<Record<string, unknown>>;
    };

/**
 * Finds the command and its flags, or the text that `--help` and `--version` ask for.
 * @throws CapeError `usage`: one line, with what was probably meant
 */
export async function parse(args: readonly string[]): Promise<Parsed> {
  const commands = await loadNamed(args);
  let picked: Picked | undefined;
  // What is wrong with an option is said in terms of the command that it is given to, and of `run`, which has most.
  let asked: Asked | undefined;
  const worker = commands.get(COMMANDS.find(({ name }) => name === DEFAULT_COMMAND) as Listed) as Command;
  const toModule = (listed: Listed) => ({
    command: listed.name === DEFAULT_COMMAND ? [listed.name, '$0'] : (listed.name.split(' ').at(-1) ?? listed.name),
    describe: listed.about,
    builder: (argv: Argv) => {
      const command = commands.get(listed) as Command;
      asked = { name: listed.name, command };
      return describe(argv, listed, command);
    },
    handler: (argv: Record<string, unknown>) => {
      picked = { listed, command: commands.get(listed) as Command, argv };
    },
  });
  const fail = (message: string | null, error?: Error) => {
    throw error ?? usageError(message ?? '', asked, worker);
  };
  const text = await outputOf(build(toModule, fail), args).catch((error: Error) => {
    // A missing value is found so early that yargs does not ask `fail`.
    throw error.name === 'YError' ? usageError(error.message, asked, worker) : error;
  });
  if (!picked) return { kind: 'text', text };
  const { listed, command, argv } = picked;
  refuseTwice(command, argv);
  return { kind: 'command', command, words: wordsAfter(listed, command, argv._ as string[]), flags: argv };
}

interface Picked {
  readonly listed: Listed;
  readonly command: Command;
  readonly argv: Record<string, unknown>;
}

/**
 * The commands whose words are among the arguments, and the default one. Loaded before yargs asks: with builders that
 * are asynchronous it writes the help after it said that it was done.
 */
async function loadNamed(args: readonly string[]): Promise<Map<Listed, Command>> {
  const named = COMMANDS.filter(
    ({ name }) => name === DEFAULT_COMMAND || name.split(' ').every((word) => args.includes(word)),
  );
  return new Map(await Promise.all(named.map(async (listed) => [listed, await listed.load()] as const)));
}

function build(
  toModule: (listed: Listed) => CommandModule,
  fail: (message: string | null, error?: Error) => void,
): Argv {
  const program = yargs()
    .scriptName('cape-worker')
    .locale('en')
    .exitProcess(false)
    .strictOptions()
    // Texts and ids stay as they were written ("007", "1e3"); of two equal options both are kept, to be told about.
    .parserConfiguration({
      'parse-numbers': false,
      'parse-positional-numbers': false,
      'dot-notation': false,
      'camel-case-expansion': false,
    })
    .help('help', 'Show this help')
    .alias('help', 'h')
    .version('version', 'Print the version', programVersion())
    .wrap(Math.min(100, lineWidth()))
    .fail(fail);
  for (const listed of COMMANDS.filter(({ name }) => !name.includes(' '))) program.command(toModule(listed));
  for (const [group, about] of Object.entries(GROUPS)) {
    const members = COMMANDS.filter(({ name }) => name.startsWith(`${group} `));
    program.command({
      command: group,
      describe: about,
      builder: (argv: Argv) => members.reduce((rest, listed) => rest.command(toModule(listed)), argv),
      handler: (argv: { _: unknown[] }) => {
        throw unknownCommand(`${group} `, argv._[1], members);
      },
    });
  }
  return program;
}

/** yargs gives what it would print to the callback, not to the terminal. */
async function outputOf(program: Argv, args: readonly string[]): Promise<string> {
  let text = '';
  await program.parseAsync([...args], {}, (_error: Error | undefined | null, _argv: unknown, output: string) => {
    text = output;
  });
  return text;
}

function describe(argv: Argv, listed: Listed, command: Command): Argv {
  const line = [`$0 ${listed.name}`, command.operands, '[options]'].filter(Boolean).join(' ');
  // The default command's help is the whole program's, which yargs heads by itself.
  const headed = listed.name === DEFAULT_COMMAND ? argv : argv.usage(`${line}\n\n${listed.about}`);
  return command.examples.reduce(
    (rest, [example, what]) => {
      return rest.example(example.includes('cape-worker') ? example : `$0 ${example}`, what);
    },
    headed.options(command.options).epilogue('schema' in command.options ? ABOUT_DATABASE : ''),
  );
}

const ABOUT_DATABASE =
  'The database is the one of DATABASE_URL (such as postgres://me:secret@host/name), in the environment, in .env or in --env-file; ' +
  'without it an embedded Postgres of yours. It is no option: arguments are visible to every user of the machine.';

/**
 * The words that belong to the command. Taken from `_` rather than declared as yargs' positionals: those lose a lone
 * "-" and everything behind "--" when they are arrays.
 */
function wordsAfter(listed: Listed, command: Command, all: readonly string[]): string[] {
  const own = listed.name.split(' ');
  const named = own.every((word, index) => all[index] === word);
  const words = named ? all.slice(own.length) : [...all];
  const { min, max } = command.count ?? { min: 0, max: 0 };
  if (words.length > max && !named) throw unknownCommand('', words[0], COMMANDS);
  if (words.length > max) {
    const hint = max === 1 ? '; put quotes around a text of several words' : '';
    throw new CapeError('usage', `${listed.name}: unexpected ${show(words[max])}${hint}`);
  }
  if (words.length < min) {
    throw new CapeError('usage', `${listed.name}: needs ${command.operands}; see cape-worker ${listed.name} --help`);
  }
  return words;
}

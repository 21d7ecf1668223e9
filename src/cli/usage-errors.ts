/** What is wrong with a command line, in one line, with what was probably meant where that is near. */
import { distance } from 'fastest-levenshtein';
import { CapeError } from '../core/errors.js';
import { oneLine } from '../core/text.js';
import type { Command, Listed } from './command.js';

/** The command that a wrong option was given to. */
export interface Asked {
  readonly name: string;
  readonly command: Command;
}

/**
 * @param prefix the group of commands with a space behind it, or nothing
 * @param word what stands in the place of a command, if anything does
 */
export function unknownCommand(prefix: string, word: unknown, among: readonly Listed[]): CapeError {
  const names = [...new Set(among.map(({ name }) => name.slice(prefix.length).split(' ')[0] ?? name))];
  if (word === undefined) return new CapeError('usage', `${prefix.trim()}: needs a command: ${names.join(', ')}`);
  const near = likely(String(word), names);
  const hint = near === undefined ? `see cape-worker ${prefix}--help` : `did you mean "${prefix}${near}"?`;
  return new CapeError('usage', `unknown command ${show(`${prefix}${word}`)}; ${hint}`);
}

const UNKNOWN_OPTION = /^Unknown arguments?: ([^,]+)/;
const NO_VALUE = /^Not enough arguments following: (.+)$/;

/**
 * yargs tells what is wrong in English text alone (the locale must be `en`); anything unexpected is passed on.
 * @param worker the command with an option for every setting, whose options are tried with others
 */
export function usageError(message: string, asked: Asked | undefined, worker: Command): CapeError {
  const unknown = UNKNOWN_OPTION.exec(message)?.[1];
  if (unknown !== undefined) return unknownOption(unknown, asked, worker);
  const empty = NO_VALUE.exec(message)?.[1];
  if (empty !== undefined) return new CapeError('usage', `--${empty}: got nothing; needs a value`);
  return new CapeError('usage', oneLine(message));
}

const DATABASE_NAMES = ['database-url', 'database', 'db-url', 'db', 'url', 'dsn'];

function unknownOption(name: string, asked: Asked | undefined, worker: Command): CapeError {
  const dashed = `${name.length === 1 ? '-' : '--'}${oneLine(name).slice(0, 100)}`;
  if (asked && name in worker.options) {
    return new CapeError('usage', `${asked.name}: ${dashed} is an option of run`);
  }
  return new CapeError('usage', `unknown option ${dashed}; ${hintFor(name, asked)}`);
}

function hintFor(name: string, asked: Asked | undefined): string {
  if (DATABASE_NAMES.includes(name)) {
    return 'DATABASE_URL goes into the environment or .env; there is no option, since arguments are visible to every user';
  }
  // With its dashes: the two letters that are exchanged in `--jsno` are then not more than a third of it.
  const near = likely(`--${name}`, asked ? optionNames(asked.command) : []);
  if (near !== undefined && name.length > 1) return `did you mean ${near}?`;
  if (asked?.command.operands?.includes('text')) return 'a text that begins with a dash goes after --';
  return `see cape-worker ${asked ? `${asked.name} ` : ''}--help`;
}

/**
 * The nearest name, if it is near: a third of the word's letters may differ, one always. An abbreviation is nearer to
 * what it abbreviates than counting letters says: `--prio` is 4 off `--priority` and `--wait`.
 */
function likely(word: string, known: readonly string[]): string | undefined {
  const longer = known.find((name) => name.startsWith(word));
  if (longer !== undefined) return longer;
  const most = Math.max(1, Math.floor(word.length / 3));
  const [near] = known
    .map((name) => ({ name, off: distance(word, name) }))
    .filter(({ off }) => off <= most)
    .sort((a, b) => a.off - b.off);
  return near?.name;
}

function optionNames(command: Command): string[] {
  const own = Object.entries(command.options).flatMap(([name, option]) =>
    option.type === 'boolean' ? [name, `no-${name}`] : [name],
  );
  return [...own, 'help', 'version'].map((name) => `--${name}`);
}

/**
 * One of the two would silently count for nothing.
 * @throws CapeError `usage` where an option that has one value was given two
 */
export function refuseTwice({ options }: Command, argv: Readonly<Record<string, unknown>>): void {
  const twice = Object.entries(options).find(([name, option]) => Array.isArray(argv[name]) && !option.array);
  if (twice) throw new CapeError('usage', `--${twice[0]} was given twice; it takes one value`);
}

/** A word of the command line as an error shows it. */
export function show(word: unknown): string {
  return `"${oneLine(String(word)).slice(0, 100)}"`;
}

/** Which command runs for an issue, and with which arguments. */
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';
import { distance } from 'fastest-levenshtein';
import { CapeError, messageOf } from '../core/errors.js';
import type { Outcome } from '../core/outcome.js';
import { oneLine } from '../core/text.js';
import { TOO_LONG } from './ending.js';
import { splitWords } from './template.js';

export { childEnvironment } from './environment.js';

/** A command that was found: an absolute path, and the words of the template after the first. */
export interface ResolvedCommand {
  readonly file: string;
  readonly words: readonly string[];
  /** How it reads for people: the template, or what stood in for it. */
  readonly label: string;
}

export interface CommandSearch {
  /** The template of `--command`; unset: `cape-adw` on PATH, else `uv run cape-adw`. */
  readonly command?: string | undefined;
  /** PATH, colon-separated. */
  readonly path: string;
  /** Relative paths begin here; absolute. */
  readonly cwd: string;
}

const DEFAULT = 'cape-adw';
const PLACEHOLDER = /\{(id|description)\}/g;
/** Also what was meant as one. `${ID}` is not: scripts for sh have variables of such names. */
const BRACED_WORD = /(?<!\$)\{(\w+)\}/g;
/** Two slips of the finger in `{description}`. In a word as short as `{id}` they would make any other word. */
const TYPOS = 2;
/**
 * Linux takes 128 KiB for one argument, its NUL included. Kernels with pages above 4 KiB take more, but an issue must
 * not depend on the host that claims it. Where the limit is one of all arguments together (macOS), exec itself tells.
 */
const ARGUMENT_BYTES = process.platform === 'linux' ? 128 * 1024 - 1 : Number.POSITIVE_INFINITY;

/**
 * Finds the command: the template where there is one, else `cape-adw`, else `uv run cape-adw`.
 * @throws CapeError (config) naming what was looked for
 */
export function resolveCommand({ command, path, cwd }: CommandSearch): ResolvedCommand {
  if (command !== undefined) return resolveTemplate(command, path, cwd);
  const direct = findExecutable(DEFAULT, path, cwd);
  if (direct) return { file: direct, words: [], label: DEFAULT };
  const uv = findExecutable('uv', path, cwd);
  if (uv) return { file: uv, words: ['run', DEFAULT], label: `uv run ${DEFAULT}` };
  throw new CapeError(
    'config',
    `no command to run: give one by --command (CAPE_COMMAND), or put ${DEFAULT} or uv (for "uv run ${DEFAULT}") on PATH`,
  );
}

/**
 * The words of a template by the quoting rules of a shell; nothing is expanded.
 * @throws CapeError (config) for an open quote or an empty template
 */
export function splitTemplate(template: string): string[] {
  let words: string[];
  try {
    words = splitWords(template);
  } catch (error) {
    throw new CapeError('config', `--command: ${quoted(template)} can't be split into words: ${messageOf(error)}`);
  }
  if (!words[0]) throw new CapeError('config', `--command: ${quoted(template)} names no program`);
  return words;
}

/**
 * The arguments for one issue. Placeholders are replaced inside the words, after the split, so that no text is ever
 * split or read as quoting. A template without any gets id and description as two arguments at its end.
 */
export function planArguments(
  command: ResolvedCommand,
  issue: { readonly id: number; readonly description: string },
): { readonly file: string; readonly args: readonly string[] } | Outcome {
  const { file, words } = command;
  const values: Record<string, string> = { id: String(issue.id), description: issue.description };
  // search, unlike test, keeps no position in a global pattern
  const args = words.some((word) => word.search(PLACEHOLDER) >= 0)
    ? // One pass with a function: a description that holds "{id}" or "$&" arrives as it is.
      words.map((word) => word.replace(PLACEHOLDER, (_, name: string) => values[name]!))
    : [...words, values.id!, values.description!];
  if (args.some((arg) => arg.includes('\0')))
    return { kind: 'invalid', error: 'the description holds a NUL character, which no argument of a command can hold' };
  // The keeper would have to carry megabytes to learn from exec what is known here.
  if (args.some((arg) => Buffer.byteLength(arg) > ARGUMENT_BYTES)) return TOO_LONG;
  return { file, args };
}

/** True where the description is among the arguments; a command without it may find what to do elsewhere. */
export function takesDescription({ words }: ResolvedCommand): boolean {
  const isTemplate = words.some((word) => word.search(PLACEHOLDER) >= 0);
  return !isTemplate || words.some((word) => word.includes('{description}'));
}

function resolveTemplate(template: string, path: string, cwd: string): ResolvedCommand {
  const [name, ...words] = splitTemplate(template) as [string, ...string[]];
  for (const word of words) refuseTypos(word);
  const file = findExecutable(name, path, cwd);
  if (file) return { file, words, label: template };
  const where = name.includes('/') ? `${resolve(cwd, name)} is no executable file` : 'not found on PATH';
  throw new CapeError('config', `--command: ${quoted(name)}: ${where}`);
}

/** A misspelt placeholder would be handed to every command as it is, and its issue might even end completed. */
function refuseTypos(word: string): void {
  for (const [braced, name = ''] of word.matchAll(BRACED_WORD)) {
    const meant = meantPlaceholder(name);
    if (meant && braced !== meant)
      throw new CapeError('config', `--command: got the placeholder "${braced}"; did you mean "${meant}"?`);
  }
}

function meantPlaceholder(name: string): string | null {
  const lower = name.toLowerCase();
  if (lower === 'id') return '{id}';
  return distance(lower, 'description') <= TYPOS ? '{description}' : null;
}

/** Absolute, since keeper and command have folders of their own. */
function findExecutable(name: string, path: string, cwd: string): string | null {
  const candidates = name.includes('/') ? [name] : path.split(delimiter).map((folder) => join(folder || '.', name));
  return candidates.map((candidate) => resolve(cwd, candidate)).find(isExecutable) ?? null;
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

/** JSON escapes fewer characters than a terminal or a log line takes harm from. */
function quoted(text: string): string {
  return oneLine(JSON.stringify(text));
}

/** The file of settings, `.env` or one asked for by name: which one is read, and what its parser passes over in silence. */
import { closeSync, existsSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { parse } from 'dotenv';
import { CapeError } from '../core/errors.js';
import { oneLine } from '../core/text.js';

export interface Dotenv {
  /** Absolute; null where there is no file. */
  readonly path: string | null;
  /** How lines for people call it: `.env`, or the whole path of one that was asked for. */
  readonly name: string;
  readonly values: Readonly<Record<string, string>>;
  /** Lines for people. They never show what the file holds, which may be a password. */
  readonly warnings: readonly string[];
}

export const NO_DOTENV: Dotenv = { path: null, name: '.env', values: {}, warnings: [] };

/**
 * The .env of the working directory, else of its parent.
 * @throws CapeError `config` for one that can't be read
 */
export function readDotenv(cwd: string): Dotenv {
  const folder = resolve(cwd);
  const path = [join(folder, '.env'), join(dirname(folder), '.env')].find((candidate) => existsSync(candidate));
  if (path === undefined) return NO_DOTENV;
  try {
    return { path, name: '.env', ...contentOf(path, readFileSync(path, 'utf8')) };
  } catch (error) {
    throw new CapeError('config', `${path}: can't be read (${codeOf(error)}); make it readable or remove it`);
  }
}

/**
 * A file that was asked for by name, in place of the search for .env.
 * @param secretNames the variables whose values nobody else should read
 * @throws the system's error where it is missing or can't be read
 */
export function readNamedFile(path: string, secretNames: readonly string[]): Dotenv {
  // By one descriptor: the mode that is judged is that of the file that was read.
  const file = openSync(path, 'r');
  try {
    const { mode } = fstatSync(file);
    const { values, warnings } = contentOf(path, readFileSync(file, 'utf8'));
    const open = openToOthers(path, mode, values, secretNames);
    return { path, name: oneLine(path), values, warnings: open === undefined ? warnings : [...warnings, open] };
  } finally {
    closeSync(file);
  }
}

function contentOf(path: string, text: string): Pick<Dotenv, 'values' | 'warnings'> {
  return { values: parse(text), warnings: ignoredWarnings(path, text) };
}

/** Lines for people on what the text of a file holds besides settings. */
export function ignoredWarnings(path: string, text: string): string[] {
  return ignoredLines(text).map((line) => `${oneLine(path)}: line ${line} is not NAME=value, so it is ignored`);
}

/** Names that programs give to what nobody else should know: ANTHROPIC_API_KEY, GH_TOKEN, PGPASSWORD. */
const SECRET = /(?:KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?)$/i;

/** Permissions of a pipe or a device say nothing about who reads what comes out of it. */
const REGULAR = 0o100_000;

function openToOthers(
  path: string,
  mode: number,
  values: Dotenv['values'],
  secretNames: readonly string[],
): string | undefined {
  if ((mode & 0o170_000) !== REGULAR || (mode & 0o077) === 0) return undefined;
  const secret = Object.keys(values).find((name) => values[name] && (secretNames.includes(name) || SECRET.test(name)));
  if (secret === undefined) return undefined;
  const bits = (mode & 0o777).toString(8).padStart(3, '0');
  return `${oneLine(path)}: others have access to it (mode ${bits}) and it holds ${secret}; chmod 600`;
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}

/** What dotenv takes for an assignment: also `export NAME=value`, `NAME: value`, and quotes over several lines. */
const ASSIGNMENT =
  /^[ \t]*(?:export[ \t]+)?[\w.-]+(?:[ \t]*=|:[ \t])[ \t]*(?:'(?:\\'|[^'])*'|"(?:\\"|[^"])*"|`(?:\\`|[^`])*`|.*)/gm;

/** The numbers of the lines, from 1, that are neither an assignment nor empty nor a comment. */
export function ignoredLines(text: string): number[] {
  const rest = text.replace(/\r\n?/g, '\n').replace(ASSIGNMENT, (lines) => `#${lines.replace(/[^\n]/g, '')}`);
  return rest.split('\n').flatMap((line, index) => (/^\s*(?:#|$)/.test(line) ? [] : [index + 1]));
}

/** The file `.env`: which one is read, and what its parser passes over in silence. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { parse } from 'dotenv';
import { CapeError } from '../core/errors.js';
import { oneLine } from '../core/text.js';

export interface Dotenv {
  /** Absolute; null where there is no file. */
  readonly path: string | null;
  readonly values: Readonly<Record<string, string>>;
  /** Lines for people. They never show what the file holds, which may be a password. */
  readonly warnings: readonly string[];
}

export const NO_DOTENV: Dotenv = { path: null, values: {}, warnings: [] };

/**
 * The .env of the working directory, else of its parent.
 * @throws CapeError `config` for one that can't be read
 */
export function readDotenv(cwd: string): Dotenv {
  const folder = resolve(cwd);
  const path = [join(folder, '.env'), join(dirname(folder), '.env')].find((candidate) => existsSync(candidate));
  if (path === undefined) return NO_DOTENV;
  const text = read(path);
  const warnings = ignoredLines(text).map(
    (line) => `${oneLine(path)}: line ${line} is not NAME=value, so it is ignored`,
  );
  return { path, values: parse(text), warnings };
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new CapeError(
      'config',
      `${path}: can't be read (${(error as NodeJS.ErrnoException).code}); make it readable or remove it`,
    );
  }
}

/** What dotenv takes for an assignment: also `export NAME=value`, `NAME: value`, and quotes over several lines. */
const ASSIGNMENT =
  /^[ \t]*(?:export[ \t]+)?[\w.-]+(?:[ \t]*=|:[ \t])[ \t]*(?:'(?:\\'|[^'])*'|"(?:\\"|[^"])*"|`(?:\\`|[^`])*`|.*)/gm;

/** The numbers of the lines, from 1, that are neither an assignment nor empty nor a comment. */
function ignoredLines(text: string): number[] {
  const rest = text.replace(/\r\n?/g, '\n').replace(ASSIGNMENT, (lines) => `#${lines.replace(/[^\n]/g, '')}`);
  return rest.split('\n').flatMap((line, index) => (/^\s*(?:#|$)/.test(line) ? [] : [index + 1]));
}

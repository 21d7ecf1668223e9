/**
 * Escaping for systemd's units. Each directive reads its value in a way of its own (systemd 252, tried on a running one),
 * so there is a function for each way and none for all. Before any of them, systemd strips blanks at both ends of a
 * line and takes a backslash at its end for "goes on in the next line".
 */
import { CapeError } from '../core/errors.js';
import { oneLine } from '../core/text.js';
import { refuseControls, refuseRelative } from './refuse.js';

const PLAIN_WORD = /^[A-Za-z0-9_/.,:=+-]+$/;

/** Text that is taken as it is, but for `%`: User=. @throws CapeError `config` where its end would be lost */
export function unitText(what: string, text: string): string {
  if (/^\s|[\s\\]$/.test(text)) {
    throw new CapeError(
      'config',
      `${what} is "${oneLine(text)}": must not begin with a blank, nor end with one or with "\\"`,
    );
  }
  return specifiers(refuseControls(what, text));
}

/**
 * The path of WorkingDirectory=: no quotes, no backslashes, all to the end of the line. The slash keeps a blank or a
 * backslash at the end from being taken for something else; systemd drops it.
 */
export function unitPath(what: string, path: string): string {
  const escaped = specifiers(refuseRelative(what, path));
  return /[\s\\]$/.test(escaped) ? `${escaped}/` : escaped;
}

/** A word in quotes where it needs them: Environment=, ReadWritePaths=. A dollar means nothing there. */
export function unitWord(what: string, text: string): string {
  refuseControls(what, text);
  return PLAIN_WORD.test(text) ? text : `"${specifiers(text).replace(/[\\"]/g, '\\$&').replace(/\t/g, '\\t')}"`;
}

/** An argument in ExecStart=, where `${NAME}` and `$NAME` would be filled in. */
export function execArgument(what: string, text: string): string {
  return unitWord(what, text).replaceAll('$', '$$$$');
}

/**
 * The program of ExecStart=. Its path is not searched for variables, so a doubled dollar would stay doubled; the name that
 * the process gets is (argv[0]), so where there is a dollar both are given, which is what the `@` says.
 * @throws CapeError `config` for a path with characters that systemd refuses, even escaped
 */
export function execProgram(what: string, path: string): string {
  if (/["'\\\t]/.test(path)) {
    throw new CapeError(
      'config',
      `${what} is "${oneLine(path)}": systemd runs no program with quotes, "\\" or tabs in its path`,
    );
  }
  const word = unitWord(what, refuseRelative(what, path));
  if (!path.includes('$')) return word;
  const marked = word.startsWith('"') ? `"@${word.slice(1)}` : `@${word}`;
  return `${marked} ${execArgument(what, path)}`;
}

/** `%h` and its like stand for things that systemd knows. */
function specifiers(text: string): string {
  return text.replaceAll('%', '%%');
}

/** Changes the text of an env file: the names asked for, and not a character of anything else. Pure. */
import { parse } from 'dotenv';
import { CapeError } from '../core/errors.js';
import { oneLine } from '../core/text.js';

/** What a name is to be set to; null takes it out. */
export type EnvChanges = Readonly<Record<string, string | null>>;

/**
 * The text with these names set or removed; the very same text where it says so already. Comments, order, other names and
 * a comment behind a value that changes stay as they are. Whatever comes out has been read back before it is returned.
 * @throws CapeError `config` for a name or a value that no env file can hold, or a text that can't be changed safely.
 * Values are never part of the message.
 */
export function changeEnvText(text: string, changes: EnvChanges): string {
  let changed = text;
  for (const [name, value] of Object.entries(changes)) {
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) {
      throw new CapeError('config', `${oneLine(name)}: is no name of a variable; it can't be written to an env file`);
    }
    changed = value === null ? removed(changed, name) : set(changed, name, value);
  }
  return changed;
}

function removed(text: string, name: string): string {
  const found = placesOf(text, name);
  if (found.length === 0) return text;
  const rest = found.toReversed().reduce((left, place) => without(left, place), text);
  if (!holds(rest, parse(text), name, null)) throw unsafe(name);
  return rest;
}

function set(text: string, name: string, value: string): string {
  const before = parse(text);
  if (Object.hasOwn(before, name) && before[name] === value) return text;
  const spellings = spellingsOf(value);
  if (spellings.length === 0) throw unwritable(name, value);
  // Behind a quote that is never closed, some spellings would end it and others not: what counts is what is read back.
  const found = spellings.map((spelled) => place(text, name, spelled)).find((one) => holds(one, before, name, value));
  if (found === undefined) throw unsafe(name);
  return found;
}

/** In the place of the last one, which is the one that counts; others go, so that no old password stays. */
function place(text: string, name: string, spelled: string): string {
  const places = placesOf(text, name);
  const last = places.at(-1);
  if (!last) return appended(text, `${name}=${spelled}`);
  const behind = text.slice(last.valueEnd);
  const gap = behind.startsWith('#') ? ' ' : '';
  const changed = `${text.slice(0, last.nameStart)}${name}=${spelled}${gap}${behind}`;
  return places.slice(0, -1).toReversed().reduce(without, changed);
}

function appended(text: string, line: string): string {
  const end = text.includes('\r\n') ? '\r\n' : '\n';
  const gap = text === '' || /[\r\n]$/.test(text) ? '' : end;
  return `${text}${gap}${line}${end}`;
}

interface Place {
  /** Of the line, or where what is before it ends. */
  readonly start: number;
  readonly nameStart: number;
  readonly valueEnd: number;
  /** Behind the end of its last line. */
  readonly end: number;
}

// What dotenv takes for an assignment, with places instead of values. Its blanks also cross lines; ours need not, but for
// those before a quote: that is where a value may really begin on the next line.
const ASSIGNMENT =
  /^([^\S\r\n]*(?:export\s+)?)([\w.-]+)(?:\s*=|:\s+?)(\s*'(?:\\'|[^'])*'|\s*"(?:\\"|[^"])*"|\s*`(?:\\`|[^`])*`|[^#\r\n]+)?[^\S\r\n]*(?:#.*)?$/gm;

function placesOf(text: string, name: string): Place[] {
  return [...text.matchAll(ASSIGNMENT)].flatMap((match) => {
    if (match[2] !== name) return [];
    const [whole, before = '', , value = ''] = match;
    const nameStart = match.index + before.length;
    const valueAt = text.indexOf(value, nameStart + name.length);
    const valueEnd = value === '' ? endOfEmpty(text, nameStart + name.length) : valueAt + value.trimEnd().length;
    const rest = /^(?:\r\n|\r|\n)/.exec(text.slice(match.index + whole.length))?.[0] ?? '';
    return [{ start: match.index, nameStart, valueEnd, end: match.index + whole.length + rest.length }];
  });
}

/** Behind the sign of `NAME=`, with nothing behind it. */
function endOfEmpty(text: string, at: number): number {
  return at + (/^\s*[=:]/.exec(text.slice(at))?.[0].length ?? 0);
}

function without(text: string, { start, end }: Place): string {
  return text.slice(0, start) + text.slice(end);
}

/** True where the text holds what it held before, but for this name, which has this value. */
function holds(text: string, before: Readonly<Record<string, string>>, name: string, value: string | null): boolean {
  const { [name]: _, ...others } = before;
  const expected: Record<string, string> = value === null ? others : { ...others, [name]: value };
  const found = parse(text);
  const names = Object.keys(expected);
  return names.length === Object.keys(found).length && names.every((one) => found[one] === expected[one]);
}

/** What needs no quotes, for dotenv and for a shell. */
const PLAIN = /^[\w./:@%+,=-]+$/;

/** The ways to write a value, the plainest first: those that dotenv alone reads back exactly. */
function spellingsOf(value: string): string[] {
  // A lone half of a surrogate pair is lost in UTF-8, and no environment holds a NUL.
  if (value.includes('\0') || Buffer.from(value).toString() !== value) return [];
  const escaped = value.replaceAll('\n', '\\n').replaceAll('\r', '\\r');
  const quotes = /[\r\n]/.test(value) ? ['"', "'", '`'] : ["'", '"', '`'];
  // One with its own kind inside is read, too, where nothing follows; other readers of the file stumble over it.
  const [clean, risky] = [quotes.filter((one) => !value.includes(one)), quotes.filter((one) => value.includes(one))];
  const quoted = [...clean, ...risky].map((one) => `${one}${one === '"' ? escaped : value}${one}`);
  const all = PLAIN.test(value) ? [value, ...quoted] : [...quoted, value];
  return all.filter(
    (spelled) => parse(`A=${spelled}\n`).A === value && Object.keys(parse(`A=${spelled}\nB=b\n`)).length === 2,
  );
}

function unwritable(name: string, value: string): CapeError {
  const why = value.includes('\0')
    ? 'it holds a NUL character'
    : Buffer.from(value).toString() !== value
      ? 'it holds half of a character (a lone surrogate)'
      : 'it holds quotes of every kind, or line breaks next to backslashes, and an env file knows no way to write that';
  return new CapeError('config', `${name}: its value can't be written to an env file: ${why}`);
}

function unsafe(name: string): CapeError {
  const why = 'a quote is not closed, or a name is written in an unusual way';
  return new CapeError(
    'config',
    `${name} can't be changed in the env file without touching other lines: ${why}; edit it by hand`,
  );
}

/**
 * What a command tells of itself: lines `::cape progress 40 building` in its output, and lines of JSON in the file that
 * CAPE_EVENTS_FILE names. Nonsense becomes a warning among the events, never an error of the attempt.
 */

export interface ChildEvent {
  readonly kind: 'progress' | 'log' | 'metadata' | 'result';
  readonly data: object;
}

/** Characters of a message; what is longer is cut. */
const LONGEST_MESSAGE = 4096;
/** Characters of a result; as many as a result file may have bytes. */
export const LONGEST_RESULT = 64 * 1024;
/** Characters of metadata, as JSON. */
const LONGEST_METADATA = 64 * 1024;
/** JSON.parse takes 5,000 brackets within each other; JSON.stringify throws at them, and Postgres may refuse them. */
const DEEPEST = 100;
const LEVELS = ['debug', 'info', 'warn', 'error'];
const SHOWN = 100;

const MARK = '::cape';
/** A mark that goes on for longer is none. */
const LONGEST_MARK = 1000;

/** How far a line has been read that has no end yet: its text while it may be a mark, null once it is known to be none. */
export type OpenLine = string | null;

/**
 * The events of the marks in a piece of output. @param open how the piece before ended, '' at the beginning
 * @returns them, and how this piece ends
 */
export function marksIn(text: string, open: OpenLine): { events: ChildEvent[]; open: OpenLine } {
  const events: ChildEvent[] = [];
  const lines = text.split('\n');
  const last = lines.length - 1;
  let line: OpenLine = open;
  for (let i = 0; i <= last; i++) {
    const part = lines[i] as string;
    line = i > 0 ? part : line === null ? null : line + part;
    if (i < last) {
      const event = line === null ? null : eventOfMark(line);
      if (event) events.push(event);
    }
  }
  return { events, open: mayBeMark(line) };
}

/** The same of bytes, whole characters. Most have no mark in them, and need not become texts and lines to show it. */
export function marksInBytes(bytes: Buffer, open: OpenLine): { events: ChildEvent[]; open: OpenLine } {
  if (open || bytes.includes(MARK)) return marksIn(textOfOutput(bytes), open);
  const begin = bytes.lastIndexOf(0x0a) + 1;
  const isNull = begin === 0 && open === null;
  const isOrdinary = bytes.length - begin >= MARK.length;
  return { events: [], open: isNull || isOrdinary ? null : mayBeMark(bytes.toString('latin1', begin)) };
}

/** Postgres takes no NUL. */
export function textOfOutput(bytes: Buffer): string {
  return bytes.toString('utf8').replaceAll('\0', '\ufffd');
}

function mayBeMark(line: OpenLine): OpenLine {
  const mayBe = line !== null && line.length <= LONGEST_MARK && `${MARK} `.startsWith(line.slice(0, MARK.length + 1));
  return mayBe || line === '' ? line : null;
}

/** The event of a line of output, null where it is an ordinary line. */
export function eventOfMark(line: string): ChildEvent | null {
  if (!line.startsWith(`${MARK} `)) return null;
  const text = line.trimEnd();
  const [, percent, message] = /^::cape progress +(\d+(?:\.\d+)?%?|-)(?: +(.*))?$/.exec(text) ?? [];
  if (percent === undefined) return warning(`not understood: ${text.slice(0, SHOWN)}`);
  return progress(percent === '-' ? null : Number(percent.replace('%', '')), message ?? null);
}

/** The event of a line of the events file. */
export function eventOfJson(line: string): ChildEvent {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return warning(`CAPE_EVENTS_FILE: a line is no JSON: ${line.slice(0, SHOWN)}`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return warning(`CAPE_EVENTS_FILE: a line is no object: ${line.slice(0, SHOWN)}`);
  if (isDeeper(value, DEEPEST))
    return warning(`CAPE_EVENTS_FILE: a line is nested more than ${DEEPEST} levels deep: ${line.slice(0, SHOWN)}`);
  const { type, ...rest } = value as Record<string, unknown>;
  switch (type) {
    case 'progress':
      return progress(rest.percent ?? null, rest.message ?? null);
    case 'log':
      return note(rest.level ?? 'info', rest.message);
    case 'result':
      return { kind: 'result', data: { result: textOf(rest.result).slice(0, LONGEST_RESULT) } };
    case 'metadata':
      return metadata(rest, line);
    default:
      return warning(`CAPE_EVENTS_FILE: type must be progress, log, result or metadata: ${line.slice(0, SHOWN)}`);
  }
}

export function warning(message: string): ChildEvent {
  return { kind: 'log', data: { level: 'warn', message } };
}

export function progress(percent: unknown, message: unknown): ChildEvent {
  if (percent !== null && (typeof percent !== 'number' || !Number.isFinite(percent)))
    return warning(`progress: percent must be a number: ${textOf(percent).slice(0, SHOWN)}`);
  const within = percent === null ? null : Math.min(100, Math.max(0, percent));
  return { kind: 'progress', data: { percent: within, message: message === null ? null : cut(message) } };
}

export function note(level: unknown, message: unknown): ChildEvent {
  const known = typeof level === 'string' && LEVELS.includes(level) ? level : 'info';
  return { kind: 'log', data: { level: known, message: cut(message ?? '') } };
}

function metadata(data: object, line: string): ChildEvent {
  if (line.length > LONGEST_METADATA) return warning(`metadata: longer than ${LONGEST_METADATA} characters, left out`);
  return { kind: 'metadata', data };
}

function cut(message: unknown): string {
  return textOf(message).slice(0, LONGEST_MESSAGE);
}

function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return levels === 0 || Object.values(value).some((inner) => isDeeper(inner, levels - 1));
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
}

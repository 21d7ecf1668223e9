/** What an attempt produced: the file that its command was told to write, else the end of its output. */
import { closeSync, constants, existsSync, fstatSync, openSync, readSync, statSync } from 'node:fs';
import type { Outcome } from '../core/outcome.js';
import type { Log } from '../log.js';
import type { AttemptFiles } from './attempt-files.js';
import { eventOfJson } from './child-events.js';

/** What is kept of a result file; a longer one is cut. */
const RESULT_BYTES = 64 * 1024;

/**
 * The text in the command's CAPE_RESULT_FILE, else the last `result` in its CAPE_EVENTS_FILE, else what its output has
 * between AGENT_RESPONSE_START and AGENT_RESPONSE_END, else the end of its output.
 */
export function resultOf(outcome: Outcome, files: AttemptFiles, log: Log): string | null {
  const tail = outcome.tail?.trim() ? outcome.tail : null;
  return readResult(files.result, log) ?? resultInEvents(files.events) ?? responseIn(tail, files.log) ?? tail;
}

/** The end of the file that is looked at: a result has its line among the last. */
const EVENTS_BYTES = 256 * 1024;

/** A look at what is not there costs 5 us. */
function resultInEvents(path: string): string | null {
  const end = existsSync(path) ? readEnd(path, EVENTS_BYTES) : '';
  for (const line of end.split('\n').reverse()) {
    if (!line.includes('"result"')) continue;
    const { kind, data } = eventOfJson(line);
    const { result } = data as { result?: string };
    if (kind === 'result' && result?.trim()) return result;
  }
  return null;
}

const START = 'AGENT_RESPONSE_START';
const END = 'AGENT_RESPONSE_END';
/** A response may be longer than the tail: then it begins in this much of the file's end. */
const RESPONSE_BYTES = 256 * 1024;

function responseIn(tail: string | null, logPath: string): string | null {
  if (!tail?.includes(END)) return null;
  return between(tail) ?? between(readEnd(logPath, RESPONSE_BYTES));
}

function between(text: string): string | null {
  const end = text.lastIndexOf(END);
  const start = end < 0 ? -1 : text.lastIndexOf(START, end);
  if (start < 0) return null;
  const response = text.slice(start + START.length, end).trim();
  return response === '' ? null : response.slice(0, RESULT_BYTES);
}

/** The last bytes of a plain file as text; '' where there is none, or it can't be read. */
function readEnd(path: string, most: number): string {
  let fd: number | null = null;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const stats = fstatSync(fd);
    if (!stats.isFile()) return '';
    const from = Math.max(0, stats.size - most);
    const buffer = Buffer.alloc(Math.min(most, stats.size));
    return buffer.toString('utf8', 0, readSync(fd, buffer, 0, buffer.length, from)).replaceAll('\0', '');
  } catch {
    return '';
  } finally {
    if (fd !== null) closeSync(fd);
  }
}

/**
 * The command may have put anything at the path: a FIFO (opened without blocking, read only if a plain file), or a link
 * to a file that is none (/proc/self/mem can be opened and not read).
 */
function readResult(path: string, log: Log): string | null {
  let fd: number | null = null;
  try {
    // The usual case; an exception for it takes 0.05 ms, for the sake of its stack.
    if (!statSync(path, { throwIfNoEntry: false })?.isFile()) return null;
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    if (!fstatSync(fd).isFile()) return null;
    const buffer = Buffer.alloc(RESULT_BYTES);
    const text = buffer.toString('utf8', 0, readSync(fd, buffer, 0, RESULT_BYTES, 0)).replaceAll('\0', '');
    return text.trim() === '' ? null : text;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
      log.warn(`the result file ${path} can't be read: ${(error as Error).message}`);
    return null;
  } finally {
    if (fd !== null) closeSync(fd);
  }
}

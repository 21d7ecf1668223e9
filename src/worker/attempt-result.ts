/** What an attempt produced: the file that its command was told to write, else the end of its output. */
import { closeSync, constants, fstatSync, openSync, readSync, statSync } from 'node:fs';
import type { Outcome } from '../core/outcome.js';
import type { Log } from '../log.js';
import type { AttemptFiles } from './attempt-files.js';

/** What is kept of a result file; a longer one is cut. */
const RESULT_BYTES = 64 * 1024;

/** The text in the command's CAPE_RESULT_FILE, else the end of its output. */
export function resultOf(outcome: Outcome, files: AttemptFiles, log: Log): string | null {
  const tail = outcome.tail?.trim() ? outcome.tail : null;
  return readResult(files.result, log) ?? tail;
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

/**
 * What a worker prints under launchd goes into two files that launchd holds open for as long as the service is loaded,
 * and that nobody rotates. So the worker keeps them small by itself: the end of a file that has grown is copied beside
 * it, and the file is emptied in place. launchd opened it for appending: what is written next is its first line. The
 * same lines are in the worker's own log, which rotates by day; no renaming, since launchd would write on into the
 * renamed one.
 */
import {
  closeSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readSync,
  rmSync,
  type Stats,
  statSync,
  writeSync,
} from 'node:fs';
import { join, resolve } from 'node:path';
import { messageOf } from '../core/errors.js';
import { wakeEvery } from '../wakes.js';

export interface ServiceOutputOptions {
  /** The worker's log folder. */
  readonly dir: string;
  readonly workerId: string;
  /** A file is emptied when it is larger, bytes; so much of its end is kept in `.1`. */
  readonly maxSize: number;
  /** Told once where it can't be done. */
  readonly say: (line: string) => void;
  /** Descriptors of the two, for tests. */
  readonly descriptors?: Readonly<Record<OutputStream, number>>;
  /** How often is looked, milliseconds; half as often where nothing else wakes the process. */
  readonly lookMs?: number;
}

export type OutputStream = 'stdout' | 'stderr';

const LOOK_MS = 60_000;
const CHUNK_BYTES = 256 * 1024;

/** Where a service manager without a journal of its own keeps what a worker prints. */
export function outputFileOf(dir: string, workerId: string, stream: OutputStream): string {
  return join(dir, `worker_${workerId}_${stream}.log`);
}

/**
 * Looks at once and then now and then, as long as the program runs. Only where standard output or error is that very
 * file: one that somebody chose for `> my.log` is theirs.
 * @returns ends it
 */
export function keepOutputSmall(options: ServiceOutputOptions): () => void {
  const { dir, workerId, maxSize, say, lookMs = LOOK_MS, descriptors = { stdout: 1, stderr: 2 } } = options;
  let told = false;
  const look = () => {
    for (const stream of ['stdout', 'stderr'] as const) {
      const path = outputFileOf(resolve(dir), workerId, stream);
      try {
        shrink(path, descriptors[stream], maxSize);
      } catch (error) {
        if (!told) say(`${path} grows: it can't be emptied (${messageOf(error)})`);
        told = true;
      }
    }
  };
  look();
  return wakeEvery({ from: lookMs, until: 2 * lookMs }, look);
}

/** Nothing is written by this process meanwhile: its writes to a file are synchronous, and so is this. */
function shrink(path: string, descriptor: number, maxSize: number): void {
  const open = fstatSync(descriptor);
  if (!open.isFile() || open.size <= maxSize || !isSame(open, statSync(path, { throwIfNoEntry: false }))) return;
  try {
    copyEnd(path, open, maxSize);
  } catch {
    // A full disk: then emptying the file matters more than its old lines, which the worker's log has as well.
    rmSync(`${path}.1`, { force: true });
  }
  ftruncateSync(descriptor, 0);
}

function isSame(open: Stats, found: Stats | undefined): boolean {
  return found !== undefined && found.dev === open.dev && found.ino === open.ino;
}

/** From the first whole line on. */
function copyEnd(path: string, { size, mode }: Stats, most: number): void {
  const from = openSync(path, 'r');
  try {
    const to = openSync(`${path}.1`, 'w', mode & 0o777);
    try {
      const chunk = Buffer.alloc(CHUNK_BYTES);
      let position = Math.max(0, size - most);
      let isInsideLine = position > 0;
      for (;;) {
        const read = readSync(from, chunk, 0, chunk.length, position);
        if (read === 0) return;
        position += read;
        const start = isInsideLine ? chunk.subarray(0, read).indexOf(10) + 1 : 0;
        isInsideLine = isInsideLine && start === 0;
        if (!isInsideLine) writeSync(to, chunk, start, read - start);
      }
    } finally {
      closeSync(to);
    }
  } finally {
    closeSync(from);
  }
}

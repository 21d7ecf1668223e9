/** The last lines of the files that launchd writes a service's output to, and what is added to them. */
import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { StringDecoder } from 'node:string_decoder';
import { setTimeout as sleep } from 'node:timers/promises';

/** A line of the worker has a few hundred bytes at most; of longer ones fewer are shown. */
const BYTES_PER_LINE = 1024;
const CHUNK_BYTES = 64 * 1024;
const LOOK_MS = 250;

/**
 * The last lines of these files together: the one that was written last comes last, and its lines go first when there
 * are too many. They can't be merged: what a program says as it dies has no time.
 */
export function lastLinesOf(paths: readonly string[], count: number): string[] {
  const files = paths.map((path) => ({ path, found: statSync(path, { throwIfNoEntry: false }) }));
  const byAge = files.flatMap(({ path, found }) => (found ? [{ path, time: found.mtimeMs }] : []));
  byAge.sort((a, b) => a.time - b.time);
  return byAge.flatMap(({ path }) => linesAtEnd(path, count)).slice(-count);
}

function linesAtEnd(path: string, count: number): string[] {
  const { text, isWhole } = readEnd(path, count * BYTES_PER_LINE);
  const lines = text.split('\n').slice(isWhole ? 0 : 1);
  return lines.filter((line) => line !== '').slice(-count);
}

function readEnd(path: string, most: number): { text: string; isWhole: boolean } {
  const descriptor = openSync(path, 'r');
  try {
    const { size } = fstatSync(descriptor);
    const start = Math.max(0, size - most);
    const buffer = Buffer.alloc(size - start);
    const read = readSync(descriptor, buffer, 0, buffer.length, start);
    return { text: buffer.toString('utf8', 0, read), isWhole: start === 0 };
  } finally {
    closeSync(descriptor);
  }
}

/**
 * Hands on what is added to these files, until `signal` is aborted. A file that was emptied (the worker keeps it small)
 * or comes into being is read from its beginning.
 */
export async function followFiles(
  paths: readonly string[],
  write: (text: string) => void,
  signal?: AbortSignal,
): Promise<void> {
  const followed = paths.map((path) => new Followed(path));
  while (!signal?.aborted) {
    for (const file of followed) file.read(write);
    await sleep(LOOK_MS, undefined, signal ? { signal } : {}).catch(() => {});
  }
}

class Followed {
  readonly #path: string;
  readonly #decoder = new StringDecoder('utf8');
  #position: number;

  constructor(path: string) {
    this.#path = path;
    this.#position = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  }

  read(write: (text: string) => void): void {
    const size = statSync(this.#path, { throwIfNoEntry: false })?.size ?? 0;
    if (size < this.#position) this.#position = 0;
    if (size === this.#position) return;
    const descriptor = openSync(this.#path, 'r');
    try {
      const chunk = Buffer.alloc(CHUNK_BYTES);
      for (let read = -1; read !== 0; this.#position += read) {
        read = readSync(descriptor, chunk, 0, chunk.length, this.#position);
        write(this.#decoder.write(chunk.subarray(0, read)));
      }
    } finally {
      closeSync(descriptor);
    }
  }
}

/**
 * Where the output of a run goes: a head in the log file, then segments beside it of which the newest two stay, and the
 * last few KiB in memory. However much is written, disk and memory stay within their limits.
 */
import { closeSync, constants, mkdirSync, openSync, rmSync, write } from 'node:fs';
import { dirname } from 'node:path';
import { cleanTail, SEGMENT } from './tail.js';

/** With 8 MiB a reader that looks every 50 ms missed nothing at 85 MB/s; with 1 MiB it lost half. */
const LARGEST_SEGMENT = 8 * 1024 * 1024;
const SMALLEST_SEGMENT = 1024;
const RETRY_MS = 1000;
const APPEND = constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND;

export class Sink {
  /** Bytes received so far. */
  bytes = 0;
  /** Bytes that reached no file. */
  lost = 0;
  /** The errno of the latest failure, null while all is well. */
  error: string | null = null;
  /** Called when a chunk has been written. */
  onGrown: (() => void) | null = null;

  readonly #path: string;
  readonly #segmentSize: number;
  readonly #segments: string[] = [];
  /**
   * The newest bytes, at its end. Kept in memory: a full disk must not cost the reason of a failure. One more than the
   * tail may have: with no byte before it nobody could tell that a character was cut.
   */
  #tail: Buffer | null = null;
  readonly #tailBytes: number;
  #tailLength = 0;
  #fd: number | null = null;
  #opened = false;
  /** When a file that could not be opened is tried again, milliseconds of the monotonic clock. */
  #retryAt = 0;
  /** Bytes that the open file may still take. */
  #room: number;

  /**
   * Makes no file and takes no memory yet: a command that prints nothing and ends at once needs neither, and making a
   * file took 0.3 ms of the 1.5 that a start took beside a database on the same disk.
   * @param limit bytes on disk, head and segments together
   */
  constructor(path: string, limit: number, tailBytes: number) {
    this.#path = path;
    this.#segmentSize = Math.max(SMALLEST_SEGMENT, Math.min(LARGEST_SEGMENT, Math.floor(limit / 4)));
    this.#room = Math.max(SMALLEST_SEGMENT, limit - 2 * this.#segmentSize);
    this.#tailBytes = tailBytes;
  }

  /** Makes the file, if it is not there yet. Never throws: a log that can't be made costs the issue its log, not its run. */
  open(): void {
    if (this.#opened) return;
    this.#opened = true;
    this.#open(this.#path);
  }

  /** Takes a chunk; `done` is called later, never at once, when the chunk's memory may be used again. */
  write(chunk: Buffer, done: () => void): void {
    this.open();
    this.#remember(chunk);
    this.#append(chunk, done);
  }

  /** The end of what was written, as clean text. */
  tail(): string {
    if (!this.#tail) return '';
    return cleanTail(this.#tail.subarray(this.#tail.length - this.#tailLength), this.#tailBytes);
  }

  close(): void {
    const fd = this.#fd;
    this.#fd = null;
    // A network disk may report what it could not write only here.
    if (fd !== null) this.#attempt(() => closeSync(fd));
  }

  #append(chunk: Buffer, done: () => void): void {
    if (this.#room === 0 || (this.#fd === null && performance.now() >= this.#retryAt)) this.#nextSegment();
    const part = chunk.subarray(0, this.#room);
    const advance = (error: NodeJS.ErrnoException | null, written: number) => {
      // A full disk: the part is gone, but the command must not block on its pipe.
      const taken = error ? part.length : written;
      if (error) this.#lose(taken, error);
      this.bytes += taken;
      this.#room -= taken;
      if (taken < chunk.length) this.#append(chunk.subarray(taken), done);
      else {
        done();
        this.onGrown?.();
      }
    };
    if (this.#fd === null) setImmediate(advance, NO_FILE, 0);
    else write(this.#fd, part, 0, part.length, null, advance);
  }

  #nextSegment(): void {
    this.close();
    const segment = `${this.#path}${SEGMENT}${this.bytes}`;
    this.#open(segment);
    this.#room = this.#segmentSize;
    // One that could not be made must not drive out what is there.
    if (this.#fd === null) return;
    this.#segments.push(segment);
    const oldest = this.#segments.length > 2 ? this.#segments.shift() : undefined;
    if (oldest) this.#attempt(() => rmSync(oldest, { force: true }));
  }

  /** A full disk may have room again long before an hour's command has ended. */
  #open(path: string): void {
    this.#fd = this.#attempt(() => openInFolder(path));
    if (this.#fd === null) this.#retryAt = performance.now() + RETRY_MS;
  }

  /** An exception would end the keeper, and with it the commands of all others. */
  #attempt<Result>(action: () => Result): Result | null {
    try {
      return action();
    } catch (error) {
      this.error = (error as NodeJS.ErrnoException).code ?? 'unknown';
      return null;
    }
  }

  #lose(bytes: number, error: NodeJS.ErrnoException): void {
    this.lost += bytes;
    this.error = error === NO_FILE ? this.error : (error.code ?? 'unknown');
  }

  #remember(chunk: Buffer): void {
    this.#tail ??= Buffer.alloc(this.#tailBytes + 1);
    const tail = this.#tail;
    const last = chunk.subarray(Math.max(0, chunk.length - tail.length));
    tail.copyWithin(0, last.length);
    last.copy(tail, tail.length - last.length);
    this.#tailLength = Math.min(tail.length, this.#tailLength + last.length);
  }
}

/** The attempt's own folder, and none above it: a log folder that is gone is not ours to make. */
function openInFolder(path: string): number {
  try {
    return openSync(path, APPEND, 0o600);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    mkdirSync(dirname(path), { mode: 0o700 });
    return openSync(path, APPEND, 0o600);
  }
}

/** Stands for "there is no file to write to"; why is already in `error`. */
const NO_FILE: NodeJS.ErrnoException = new Error('no file');

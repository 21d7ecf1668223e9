/**
 * The worker's log file: rotated by day and size by winston-daily-rotate-file, and around it what that lacks. Its stream
 * is dead after the first error, so a disk that was full for a minute would cost the rest of the day; its list of old
 * files is lost for good where a full disk cut it short, and bounds no log storm; a folder such as `c++` it takes for a
 * pattern. So files are removed here, and a broken stream is replaced when there is room again.
 */
import { type EventEmitter, once } from 'node:events';
import { existsSync, lstatSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { messageOf } from '../core/errors.js';
import { makeFolder } from '../folders.js';
import { wakeEvery } from '../wakes.js';

export interface LogFileOptions {
  readonly dir: string;
  /** `worker_a` makes `worker_a.log`, a link to the newest of `worker_a-2026-03-01.log`, `worker_a-2026-03-01.1.log`. */
  readonly name: string;
  readonly maxSize: number;
  readonly maxDays: number;
  /** Told once when the file can't be written, and once when it can again. */
  readonly say: (line: string) => void;
  /** How often a broken or removed file is looked after, milliseconds; half as often where nothing else wakes the process. */
  readonly lookMs?: number;
}

/** So many files are kept where few days are: of two, the older would go with the first line of the newer. */
const LEAST_FILES = 5;
/** So much must fit before a file is opened again, or a disk with room for a line would break and mend all day. */
const ROOM_BYTES = 64 * 1024;
const LOOK_MS = 10_000;
/** Characters that wait for the end of a turn: a storm of lines must not make a file longer than it may be. */
const MOST_AT_ONCE = 16 * 1024;
const CLOSE_MS = 5000;
const FULL = new Set(['ENOSPC', 'EDQUOT']);

/** What winston's stream transport writes lines to. Never fails: a line that can't be written is dropped. */
export class LogFile extends Writable {
  readonly #options: LogFileOptions;
  #stream: RotatingStream | null = null;
  #path = '';
  #broken = false;
  #lines = '';
  #due: NodeJS.Immediate | undefined;
  #stopLooking = () => {};

  constructor(options: LogFileOptions) {
    super({ decodeStrings: false });
    this.#options = options;
  }

  /** Opens the file. A full disk is no reason not to start. @throws what the system said of any other trouble */
  async open(): Promise<void> {
    const { lookMs = LOOK_MS } = this.#options;
    try {
      await this.#openStream();
    } catch (error) {
      if (!FULL.has((error as NodeJS.ErrnoException).code ?? '')) throw error;
      this.#fail(error);
    }
    this.#stopLooking = wakeEvery({ from: lookMs, until: 2 * lookMs }, () => void this.#look());
  }

  /** The lines of one turn of the loop go out together: the rotation's look at date and size took longer than the line. */
  override _write(line: string | Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#lines += line.toString();
    if (this.#lines.length >= MOST_AT_ONCE) this.#writeOut();
    else this.#due ??= setImmediate(() => this.#writeOut());
    done();
  }

  #writeOut(): void {
    clearImmediate(this.#due);
    this.#due = undefined;
    const lines = this.#lines;
    this.#lines = '';
    try {
      if (lines !== '') this.#stream?.write(lines);
    } catch (error) {
      this.#fail(error); // a rotation makes the folder, if it must
    }
  }

  /** The stream's own end says when the last line is on disk; a disk that hangs must not keep the worker. */
  override _final(done: () => void): void {
    this.#stopLooking();
    this.#writeOut();
    if (!this.#stream) {
      done();
      return;
    }
    const limit = setTimeout(done, CLOSE_MS);
    this.#stream.end(() => {
      clearTimeout(limit);
      done();
    });
  }

  async #openStream(): Promise<void> {
    const { dir, name, maxSize } = this.#options;
    const { default: DailyRotateFile } = await import('winston-daily-rotate-file');
    makeFolder(dir, 0o750);
    moveAside(join(dir, `${name}.log`));
    const target = new DailyRotateFile({
      dirname: dir,
      filename: `${name}-%DATE%`,
      extension: '.log',
      datePattern: 'YYYY-MM-DD',
      maxSize: `${Math.ceil(maxSize / 1024)}k`,
      createSymlink: true,
      symlinkName: `${name}.log`,
    });
    const { logStream: stream } = target as unknown as { logStream: RotatingStream };
    const adopt = (path: string) => {
      this.#path = path;
      this.#prune();
    };
    stream.on('new', adopt);
    target.on('error', (error) => this.#fail(error, stream));
    await once(stream, 'open'); // or throws its error
    stream.on('error', (error) => this.#fail(error, stream));
    this.#stream = stream;
  }

  /** The stream does not pass on the errors of what it replaced; what nobody listens to would end the process. */
  #fail(error: unknown, of: RotatingStream | null = this.#stream): void {
    if (of !== this.#stream) return;
    this.#stream = null;
    const { dir, say } = this.#options;
    if (!this.#broken) say(`the log file in ${dir} can't be written (${messageOf(error)}); going on without it`);
    this.#broken = true;
  }

  /** Opens the file again where it broke, or was removed by somebody. */
  async #look(): Promise<void> {
    if (this.writableEnded || (this.#stream && existsSync(this.#path))) return;
    const { dir, name, say } = this.#options;
    const removed = this.#stream;
    try {
      makeFolder(dir, 0o750);
      probe(join(dir, `.${name}-room`));
      await this.#openStream();
    } catch (error) {
      this.#fail(error);
      return;
    }
    removed?.end(() => {});
    if (this.#broken) say(`the log file in ${dir} is written again; what was logged meanwhile is missing in it`);
    this.#broken = false;
  }

  /** Old ones by age, and of a log storm all but the newest: one full file a day is what the log may cost. */
  #prune(): void {
    const { dir, name, maxDays } = this.#options;
    const oldest = Date.now() - maxDays * 86_400_000;
    try {
      const files = readdirSync(dir)
        .filter((file) => file.startsWith(`${name}-`) && DATED.test(file.slice(name.length)))
        .map((file) => ({ path: join(dir, file), time: statSync(join(dir, file)).mtimeMs }))
        .filter(({ path }) => path !== this.#path)
        .sort((a, b) => b.time - a.time);
      const kept = files.slice(0, Math.max(LEAST_FILES, maxDays) - 1).filter(({ time }) => time > oldest);
      for (const { path } of files.filter((file) => !kept.includes(file))) rmSync(path, { force: true });
    } catch {
      // Another worker of the same id is gone, or the disk is: looked at again with the next file.
    }
  }
}

/** What comes after the name, so that worker `a` leaves the files of worker `a-b` alone. */
const DATED = /^-\d{4}-\d\d-\d\d(\.\d+)?\.log$/;

/** Throws where a file of some length can't be written. */
function probe(path: string): void {
  try {
    writeFileSync(path, Buffer.alloc(ROOM_BYTES), { mode: 0o600 });
  } finally {
    rmSync(path, { force: true });
  }
}

/** The plain name is a link to the current file. A plain file of that name, left by another program, is kept beside. */
function moveAside(path: string): void {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found?.isFile()) renameSync(path, `${path}.${found.mtimeMs.toFixed(0)}`);
}

interface RotatingStream extends EventEmitter {
  write(line: string): void;
  end(done: () => void): void;
}

/**
 * Pipes for the output of commands. Node can't make an anonymous pipe: its own 'pipe' is a socket, on which
 * `> /dev/stderr` fails with ENXIO, and two of them lose the order of the streams. A file as the command's stdout is
 * truncated by `> /dev/stderr`, and could be capped only after the fact. So: FIFOs, opened at both ends and unlinked, and
 * opened again for another run where nobody has them any more.
 */
import { spawn, spawnSync } from 'node:child_process';
import { closeSync, constants, openSync, readSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { makeFolder } from '../folders.js';
import { hasProc } from './processes.js';

/**
 * One `mkfifo` makes so many, where one each would cost as much as the command's own spawn. The first time somebody
 * waits for it; later they are made while others are left.
 */
const FIRST_BATCH = 16;
const BATCH = 32;
/** With fewer left more are made: so many may be taken before what was made is heard of. */
const LOW = 8;
/**
 * FIFOs kept for another run, one descriptor each. Made anew for each run they were a tenth of all processor time that
 * `/bin/true`, 16 at a time, took: where ext4 has no journal it looks at each inode freed within 5 s before it takes one.
 */
const MOST_KEPT = 64;
/** A descriptor that only names the file: it makes us neither reader nor writer. Node has no name for it. */
const O_PATH = 0o10000000;

export interface Pipe {
  readonly read: number;
  readonly write: number;
  /** Called once, when the run is over and `read` is closed: another run may have it. */
  readonly done: () => void;
}

export class FifoPool {
  readonly #dir: string;
  readonly #toolPath: string;
  readonly #ready: string[] = [];
  /** What has been used, by a descriptor that only names it. */
  readonly #kept: number[] = [];
  #made = 0;
  #refilling = false;

  /** @param dir private to us; the caller removes it, with whatever FIFOs are left */
  constructor(dir: string, toolPath: string) {
    this.#dir = dir;
    this.#toolPath = toolPath;
  }

  /** A pipe that nobody else has, its name already gone. Throws what the system said where none can be made. */
  take(): Pipe {
    for (let file = this.#kept.shift(); file !== undefined; file = this.#kept.shift()) {
      const pipe = reopened(file);
      if (pipe) return { ...pipe, done: () => this.#keep(file) };
      closeSync(file);
    }
    try {
      return this.#open();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      // The folder was removed by somebody who tidied up.
      this.#ready.length = 0;
      return this.#open();
    }
  }

  #open(): Pipe {
    if (this.#ready.length === 0) this.#fillNow();
    const path = this.#ready.pop()!;
    if (this.#ready.length < LOW) this.#refill();
    const opened: number[] = [];
    try {
      // Without O_NONBLOCK the reader's open would wait for a writer.
      opened.push(openSync(path, constants.O_RDONLY | constants.O_NONBLOCK));
      opened.push(openSync(path, constants.O_WRONLY));
      if (!hasProc) return { read: opened[0]!, write: opened[1]!, done: () => {} };
      const file = openSync(path, O_PATH);
      return { read: opened[0]!, write: opened[1]!, done: () => this.#keep(file) };
    } catch (error) {
      for (const fd of opened) closeSync(fd);
      throw error;
    } finally {
      removeName(path);
    }
  }

  #keep(file: number): void {
    if (this.#kept.length < MOST_KEPT) this.#kept.push(file);
    else closeSync(file);
  }

  #fillNow(): void {
    makeFolder(this.#dir, 0o700);
    const names = this.#names(FIRST_BATCH);
    const done = spawnSync('mkfifo', ['-m', '600', ...names], { env: { PATH: this.#toolPath }, encoding: 'utf8' });
    if (done.error) throw done.error;
    if (done.status !== 0) throw new Error(done.stderr.trim() || `mkfifo ended with ${done.status ?? done.signal}`);
    this.#ready.push(...names);
  }

  #refill(): void {
    if (this.#refilling) return;
    this.#refilling = true;
    const names = this.#names(BATCH);
    const child = spawn('mkfifo', ['-m', '600', ...names], { env: { PATH: this.#toolPath }, stdio: 'ignore' });
    const settle = (made: boolean) => {
      this.#refilling = false;
      if (made) this.#ready.push(...names);
    };
    // A failure here shows again in fillNow, which can tell somebody.
    child.once('error', () => settle(false));
    child.once('exit', (code) => settle(code === 0));
  }

  #names(count: number): string[] {
    return Array.from({ length: count }, () => join(this.#dir, `fifo-${this.#made++}`));
  }
}

/**
 * Opens a FIFO once more, if it is as good as new: nobody has it open, so the kernel has thrown away what was in it. Else
 * a reader that stayed behind would steal the next run's output, and a writer put its own words there.
 * @param file a descriptor that names it
 * @returns null where somebody has it, or it can't be opened any more (its command may have changed its mode)
 */
function reopened(file: number): { read: number; write: number } | null {
  const path = `/proc/self/fd/${file}`;
  if (hasReader(path)) return null;
  const opened: number[] = [];
  try {
    opened.push(openSync(path, constants.O_RDONLY | constants.O_NONBLOCK));
    // Nothing to read where somebody writes is EAGAIN; it is 0, the end, only where nobody does.
    if (readSync(opened[0]!, probe) === 0) {
      opened.push(openSync(path, constants.O_WRONLY));
      return { read: opened[0]!, write: opened[1]! };
    }
  } catch {
    // As below.
  }
  for (const fd of opened) closeSync(fd);
  return null;
}

const probe = Buffer.alloc(1);

function hasReader(path: string): boolean {
  try {
    closeSync(openSync(path, constants.O_WRONLY | constants.O_NONBLOCK));
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ENXIO';
  }
}

/** Two system calls fewer than `rmSync`. Somebody may have tidied up before us. */
function removeName(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

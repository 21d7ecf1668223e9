/**
 * Pipes for the output of commands. Node can't make an anonymous pipe: its own 'pipe' is a socket, on which
 * `> /dev/stderr` fails with ENXIO, and two of them lose the order of the streams. A file as the command's stdout is
 * truncated by `> /dev/stderr`, and could be capped only after the fact. So: FIFOs, opened at both ends and unlinked.
 */
import { spawn, spawnSync } from 'node:child_process';
import { closeSync, constants, openSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { makeFolder } from '../folders.js';

/**
 * One `mkfifo` makes so many, where one each would cost as much as the command's own spawn. The first time somebody
 * waits for it; later they are made while others are left.
 */
const FIRST_BATCH = 16;
const BATCH = 128;
/** With fewer left more are made: so many may be taken in one turn of the loop, before what was made is heard of. */
const LOW = 32;

export interface Pipe {
  readonly read: number;
  readonly write: number;
}

export class FifoPool {
  readonly #dir: string;
  readonly #toolPath: string;
  readonly #ready: string[] = [];
  #made = 0;
  #refilling = false;

  /** @param dir private to us; the caller removes it, with whatever FIFOs are left */
  constructor(dir: string, toolPath: string) {
    this.#dir = dir;
    this.#toolPath = toolPath;
  }

  /** A fresh pipe, its name already gone. Throws what the system said where none can be made. */
  take(): Pipe {
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
    // Without O_NONBLOCK the reader's open would wait for a writer.
    const read = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      return { read, write: openSync(path, constants.O_WRONLY) };
    } catch (error) {
      closeSync(read);
      throw error;
    } finally {
      removeName(path);
    }
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

/** Two system calls fewer than `rmSync`. Somebody may have tidied up before us. */
function removeName(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

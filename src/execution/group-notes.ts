/**
 * Who knows which process groups exist: the warden, which ends them when the keeper is gone, and a file for a worker
 * that comes later. Both are told before anybody hears that the run has started.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, renameSync, writeFileSync, writeSync } from 'node:fs';
import { monotonic } from './clock.js';
import { KEEPER_FD, type KeeperConfig } from './protocol.js';
import type { ProcessIdentity } from './spec.js';
import { wardenArguments, wardenScript } from './warden.js';

/**
 * So many wardens in a row that live no longer than that can't do their work (the script is missing, say). Then no
 * command may run here: we end, and the worker sees to the rest.
 */
const SHORT_LIVES = 5;
const SHORT_LIFE_MS = 1000;

/**
 * How long it may take until the end of a group is noted, milliseconds; usually it goes out with the next start. Until
 * its number belongs to another, the kernel has to give away all others first.
 */
const LATE_MS = 20;

/** The file is written anew after so many lines, or a busy worker would fill a disk in weeks. */
const LINES_KEPT = 10_000;

/** What the warden is told of the keeper. */
export interface GuardedConfig extends KeeperConfig {
  /** The folder of the runs' control groups; null where they have none. */
  readonly controlGroup: string | null;
}

export class GroupNotes {
  readonly file: string;
  readonly #config: GuardedConfig;
  readonly #onWarden: (pid: number) => void;
  /** Group to start time of its leader. */
  readonly #groups = new Map<number, string>();
  /** Null where the file can't be opened. */
  #fd: number | null = null;
  /** A full disk: the file lacks lines, or has half of one. */
  #torn = false;
  #lines = 0;
  #warden: ChildProcess | null = null;
  #shortLives = 0;
  #closed = false;
  /** Groups that are gone and still noted. */
  #removed: number[] = [];
  #flushing: NodeJS.Timeout | undefined;

  /** @param onWarden called with the pid of every warden, the first one and those that had to replace it */
  constructor(file: string, config: GuardedConfig, onWarden: (pid: number) => void) {
    this.file = file;
    this.#config = config;
    this.#onWarden = onWarden;
    this.#write('', 0);
    this.#startWarden();
  }

  /** Returns when it is noted. */
  add({ pid, start }: ProcessIdentity): void {
    this.#groups.set(pid, start);
    this.#note(pid, start);
  }

  remove(group: number): void {
    this.#groups.delete(group);
    this.#removed.push(group);
    this.#flushing ??= setTimeout(() => this.#note(), LATE_MS);
  }

  /** Lets the warden go; it looks around once more and ends. */
  close(): void {
    this.#note(); // or it would end groups by numbers that are no longer ours
    this.#closed = true;
    this.#warden?.stdin?.end();
    if (this.#fd !== null) closeSync(this.#fd);
  }

  /** The warden reads byte by byte, and needs no start times. */
  #note(added?: number, start?: string): void {
    clearTimeout(this.#flushing);
    this.#flushing = undefined;
    const gone = this.#removed.map((group) => `- ${group}\n`).join('');
    const lines = this.#removed.length + (added === undefined ? 0 : 1);
    this.#removed = [];
    if (lines === 0) return;
    this.#warden?.stdin?.write(added === undefined ? gone : `${gone}+ ${added}\n`);
    this.#write(added === undefined ? gone : `${gone}+ ${added} ${start}\n`, lines);
  }

  /** Never throws, and says once that it can't: the warden knows the group, and the sweep by token needs no notes. */
  #write(text: string, lines: number): void {
    try {
      this.#fd ??= openSync(this.file, 'a', 0o600);
      this.#lines += lines;
      if (this.#torn || this.#lines >= LINES_KEPT) this.#rewrite();
      else if (writeSync(this.#fd, text) < text.length) throw new Error('no room for a whole line');
      // A file of no lines fits on a full disk as well.
      this.#torn &&= this.#groups.size === 0;
    } catch (error) {
      if (!this.#torn) process.stderr.write(`can't note process groups in ${this.file}: ${(error as Error).message}\n`);
      this.#torn = true;
    }
  }

  #rewrite(): void {
    const fresh = `${this.file}.new`;
    writeFileSync(fresh, this.#all(), { mode: 0o600 });
    renameSync(fresh, this.file);
    if (this.#fd !== null) closeSync(this.#fd);
    this.#fd = null;
    this.#fd = openSync(this.file, 'a', 0o600);
    this.#lines = this.#groups.size;
  }

  #all(): string {
    return [...this.#groups].map(([group, start]) => `+ ${group} ${start}\n`).join('');
  }

  #startWarden(): void {
    // Its environment must not hold the keeper's token, or it would find and end itself.
    const warden = spawn('/bin/sh', [wardenScript, ...wardenArguments(this.#config, process.pid)], {
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore', KEEPER_FD.lifeline, KEEPER_FD.proof],
      env: { PATH: this.#config.toolPath },
      cwd: '/',
    });
    warden.stdin?.on('error', () => {}); // its exit tells
    warden.once('error', (error) => {
      throw error; // as after too many short lives
    });
    const began = monotonic();
    warden.once('exit', (code, signal) => {
      if (this.#closed) return;
      this.#shortLives = monotonic() - began < SHORT_LIFE_MS ? this.#shortLives + 1 : 0;
      if (this.#shortLives === SHORT_LIVES) throw new Error(`the warden ends at once (${signal ?? code})`);
      this.#startWarden();
    });
    this.#warden = warden;
    if (this.#groups.size > 0) warden.stdin?.write(this.#all());
    if (warden.pid !== undefined) this.#onWarden(warden.pid);
  }
}

/**
 * Finds and kills what left its process group: by the token that the environment of every process of a run carries,
 * or by the output pipe that it still holds. One pass over /proc takes 2 ms with 300 processes and 10 ms with 1,000,
 * so passes are shared by all runs that wait for one. (Looking at start times first to read fewer environments costs
 * more than reading them all.)
 */
import { execFile } from 'node:child_process';
import { closeSync, openSync, readlinkSync, readSync } from 'node:fs';
import { hasProc, procPids, signal } from './processes.js';

/** In the environment of everything that a run started: the run's token. */
export const RUN_VARIABLE = 'CAPE_RUN';
/** In the environment of everything that a keeper started: the keeper's token. */
export const KEEPER_VARIABLE = 'CAPE_KEEPER';

/** How long a sweep after a success may wait for others to share its pass with, milliseconds. */
const LATE_MS = 250;
const MOST_PASSES = 50;

interface Waiting {
  readonly token: string;
  readonly done: (found: number) => void;
}

export class Sweeper {
  #waiting: Waiting[] = [];
  #late = new Set<string>();
  #lateTimer: NodeJS.Timeout | undefined;
  #busy = 0;
  #onSettled: Array<() => void> = [];

  /** Kills every process with the token until two passes in a row find none; false where some would not die. */
  async now(token: string): Promise<boolean> {
    this.#busy++;
    try {
      // A process shows no environment while it executes another program: that is "unknown", not "clean".
      let clean = (await this.#pass(token)) === 0 ? MOST_PASSES : 0;
      let passes = 1;
      while (clean < 2 && passes++ < MOST_PASSES) clean = (await this.#pass(token)) === 0 ? clean + 1 : 0;
      return clean >= 2;
    } finally {
      if (--this.#busy === 0) for (const done of this.#onSettled.splice(0)) done();
    }
  }

  /** The same, some time soon: for runs that will not run again, so that nothing waits for it. */
  later(token: string): void {
    this.#late.add(token);
    this.#lateTimer ??= setTimeout(() => this.#sweepLate(), LATE_MS);
  }

  /** Does what is owed now, and resolves when nothing is. */
  settle(): Promise<void> {
    this.#sweepLate();
    if (this.#busy === 0) return Promise.resolve();
    return new Promise((done) => this.#onSettled.push(done));
  }

  #sweepLate(): void {
    clearTimeout(this.#lateTimer);
    this.#lateTimer = undefined;
    const tokens = [...this.#late];
    this.#late.clear();
    for (const token of tokens) void this.now(token);
  }

  #pass(token: string): Promise<number> {
    return new Promise((done) => {
      this.#waiting.push({ token, done });
      // Everybody who asks in this turn of the loop shares the pass.
      if (this.#waiting.length === 1) setImmediate(() => void this.#sweep());
    });
  }

  async #sweep(): Promise<void> {
    const batch = this.#waiting;
    this.#waiting = [];
    const found = new Map(batch.map(({ token }) => [token, 0]));
    for (const [pid, token] of await runTokens()) {
      const count = found.get(token);
      if (count === undefined) continue;
      found.set(token, count + 1);
      signal(pid, 'SIGKILL');
    }
    for (const { token, done } of batch) done(found.get(token) ?? 0);
  }
}

/** Every process that carries a run's token, and the token. */
async function runTokens(): Promise<Array<[pid: number, token: string]>> {
  return hasProc ? tokensFromProc() : tokensFromPs();
}

function tokensFromProc(): Array<[number, string]> {
  const name = `${RUN_VARIABLE}=`;
  const found: Array<[number, string]> = [];
  for (const pid of procPids()) {
    const environment = environmentOf(pid);
    const at = environment?.indexOf(name) ?? -1;
    if (!environment || at < 0 || (at > 0 && environment[at - 1] !== 0)) continue;
    const end = environment.indexOf(0, at);
    found.push([Number(pid), environment.toString('latin1', at + name.length, end < 0 ? environment.length : end)]);
  }
  return found;
}

/** `ps -E` hides the environment of the system's own programs: best effort. */
function tokensFromPs(): Promise<Array<[number, string]>> {
  const pattern = new RegExp(`^\\s*(\\d+) .*\\b${RUN_VARIABLE}=(\\S+)`);
  return new Promise((done) => {
    execFile('/bin/ps', ['-axwwE', '-o', 'pid=,command='], { maxBuffer: 1 << 26 }, (_error, stdout) => {
      const matches = stdout.split('\n').map((line) => pattern.exec(line));
      done(matches.flatMap((match) => (match ? [[Number(match[1]), match[2]!] as [number, string]] : [])));
    });
  });
}

/** True where the process was started, however indirectly, by the keeper with that token. Linux only. */
export function carriesKeeper(pid: number, keeperToken: string): boolean {
  return environmentOf(String(pid))?.includes(`${KEEPER_VARIABLE}=${keeperToken}\0`) ?? false;
}

const scratch = Buffer.allocUnsafe(1 << 18);

/** The environment a process was started with, valid until the next call; null where we may not look. */
function environmentOf(pid: string): Buffer | null {
  let fd: number | null = null;
  try {
    fd = openSync(`/proc/${pid}/environ`, 'r');
    return scratch.subarray(0, readSync(fd, scratch, 0, scratch.length, 0));
  } catch {
    return null;
  } finally {
    if (fd !== null) closeSync(fd);
  }
}

/**
 * Kills every process (but ours) whose stdout or stderr is that pipe; tells how many. Linux only. Other descriptors are
 * not looked at: a broker that was handed the pipe (systemd-run, dbus) is no process of the run.
 * @param link what our own end is linked to in /proc/self/fd. Compared as text: a stat of everybody's files would hang
 *   on a dead network disk.
 */
export function killHolders(link: string): number {
  if (!hasProc) return 0;
  const holders = procPids().filter((pid) => Number(pid) !== process.pid && holds(pid, link));
  for (const pid of holders) signal(Number(pid), 'SIGKILL');
  return holders.length;
}

function holds(pid: string, link: string): boolean {
  return ['1', '2'].some((fd) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${fd}`) === link;
    } catch {
      return false; // gone, closed, or another user's
    }
  });
}

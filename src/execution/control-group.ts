/**
 * The control group of one run. Whatever a command becomes (a session of its own, another environment, another user's),
 * it stays in here with its children, and one write to `cgroup.kill` ends them all. The proof that they are dead is the
 * kernel's: a group that can be removed, or says `populated 0`, has no living process in it or below.
 * The command may write in here as well as we (it is the same user's, or root): what is read is believed of nothing else.
 */
import { readdirSync, readFileSync, rmdirSync } from 'node:fs';
import { readdir, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { killAllIn } from './cgroup.js';
import { monotonic } from './clock.js';
import { stateOf } from './processes.js';

/** Usually it takes less than a millisecond. What sleeps in the kernel does not die at once. */
const KILL_MS = 2000;
/** Sub-groups are the command's doing, and may be any number. */
const TIDY_MS = 2000;
/** Every keeper's groups begin with it, whatever its token. */
const PREFIX = 'cape-';

/** The name of a run's group: by the keeper's token warden and recovery find it. */
export function groupName(keeperToken: string, run: number): string {
  return `${PREFIX}${keeperToken}-${run}`;
}

/** Removes the groups that an earlier keeper left and that are empty: the kernel refuses the others. */
export function removeLeftovers(base: string): void {
  for (const name of readdirSync(base)) if (name.startsWith(PREFIX)) removed(join(base, name));
}

export class ControlGroup {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** True while a process lives in it, sub-groups included. Zombies do not count. */
  get populated(): boolean {
    try {
      return /^populated 1$/m.test(readFileSync(join(this.#folder, 'cgroup.events'), 'utf8'));
    } catch (error) {
      return (error as NodeJS.ErrnoException).code !== 'ENOENT'; // removed, by somebody whom only an empty one obeys
    }
  }

  /** What lives in it outside of a process group. Of sub-groups nothing is told. */
  strays(processGroup: number): number[] {
    // 0 stands for a process that our pid namespace does not show, and to a signal for ourselves.
    const pids = this.#pids().filter((pid) => pid > 0);
    return pids.filter((pid) => (stateOf(pid)?.group ?? processGroup) !== processGroup);
  }

  /** SIGKILL to everything in it, as far as that can be. */
  kill(): void {
    try {
      killAllIn(this.#folder);
    } catch {
      // It is gone, or was turned into one that can't be killed: `populated` tells.
    }
  }

  /** Ends what still lives in it, and removes it. True only with the proof that nothing lives. */
  async end(): Promise<boolean> {
    if (removed(this.#folder)) return true; // the common case: the command has ended with all it started
    const limit = monotonic() + KILL_MS;
    for (let wait = 1; this.populated; wait = Math.min(wait * 2, 20)) {
      if (monotonic() > limit) return false;
      this.kill();
      await pause(wait);
    }
    await removeTree(this.#folder, monotonic() + TIDY_MS);
    return true;
  }

  #pids(): number[] {
    try {
      return readFileSync(join(this.#folder, 'cgroup.procs'), 'utf8').split('\n').map(Number);
    } catch {
      return []; // gone, or of threads
    }
  }
}

function removed(folder: string): boolean {
  try {
    rmdirSync(folder);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT';
  }
}

/** From the bottom up. What can't be removed is empty and in nobody's way; the next keeper tries again. */
async function removeTree(folder: string, limit: number): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  for (const entry of entries) {
    if (monotonic() > limit) return;
    if (entry.isDirectory()) await removeTree(join(folder, entry.name), limit);
  }
  await rmdir(folder).catch(() => {});
}

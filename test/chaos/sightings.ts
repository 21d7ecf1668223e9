/** Which runs have living processes, looked up in /proc all the time: also those that never write their end. */
import { closeSync, openSync, readdirSync, readFileSync, readSync } from 'node:fs';
import { uptime } from 'node:os';

export interface Sighting {
  readonly run: string;
  readonly firstSeen: number;
  /** Seconds since the machine's start. */
  readonly lastSeen: number;
}

export interface Survivor {
  readonly pid: number;
  readonly what: string;
}

const EVERY_MS = 100;
const RUN = /(?:^|\0)CAPE_RUN=([^\0]+)/;
const KEEPER = /(?:^|\0)CAPE_KEEPER=([^\0]+)/;

export class Sightings {
  readonly #mark: string;
  readonly #folder: string;
  readonly #seen = new Map<string, { run: string; firstSeen: number; lastSeen: number }>();
  readonly #keepers = new Set<string>();
  #timer: NodeJS.Timeout | undefined;
  /** The longest time between two looks, seconds: how blind the proof is. */
  worstGap = 0;
  #last = 0;

  /**
   * @param ledger every command of this run has its path in its environment, and no other process of the machine has
   * @param folder of this run: every keeper has it in its arguments
   */
  constructor(ledger: string, folder: string) {
    this.#mark = `CHAOS_LEDGER=${ledger}\0`;
    this.#folder = folder;
  }

  start(): void {
    this.#timer = setInterval(() => this.look(), EVERY_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  all(): Sighting[] {
    return [...this.#seen.values()];
  }

  look(): void {
    const at = uptime();
    if (this.#last > 0) this.worstGap = Math.max(this.worstGap, at - this.#last);
    this.#last = at;
    for (const pid of pids()) {
      const environment = environmentOf(pid);
      const keeper = KEEPER.exec(environment)?.[1];
      // A keeper shows its token before any command carries it.
      if (keeper && !this.#keepers.has(keeper) && this.#isOurs(pid, environment)) this.#keepers.add(keeper);
      const run = environment.includes(this.#mark) ? RUN.exec(environment)?.[1] : undefined;
      if (!run) continue;
      // Read after the environment, the time would be later than the moment in which the process was surely there.
      const known = this.#seen.get(run);
      if (known) known.lastSeen = at;
      else this.#seen.set(run, { run, firstSeen: at, lastSeen: at });
    }
  }

  /** What is alive of all that this run ever started: commands and what they started, keepers, wardens. */
  survivors(): Survivor[] {
    this.look();
    return pids().flatMap((pid) => {
      const environment = environmentOf(pid);
      const keeper = KEEPER.exec(environment)?.[1];
      const ours = (environment.includes(this.#mark) && RUN.test(environment)) || (keeper && this.#keepers.has(keeper));
      return ours ? [{ pid, what: commandOf(pid) }] : [];
    });
  }

  #isOurs(pid: number, environment: string): boolean {
    return environment.includes(this.#mark) || commandOf(pid).includes(this.#folder);
  }
}

function pids(): number[] {
  return readdirSync('/proc')
    .filter((name) => name.charCodeAt(0) <= 57)
    .map(Number);
}

const buffer = Buffer.allocUnsafe(1 << 17);

/** Empty for a zombie, one that is not ours to read, and one that has gone: `latin1`, since it is searched and not shown. */
function environmentOf(pid: number): string {
  let fd: number | null = null;
  try {
    fd = openSync(`/proc/${pid}/environ`, 'r');
    return buffer.toString('latin1', 0, readSync(fd, buffer, 0, buffer.length, 0));
  } catch {
    return '';
  } finally {
    if (fd !== null) closeSync(fd);
  }
}

export function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ').trim();
  } catch {
    return '';
  }
}

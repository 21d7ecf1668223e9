/** A booted systemd for tests: a machine of its own in all but the kernel, with a newcomer and his clone in it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { expect } from 'vitest';
import { until } from '../support/until.js';

const SCRIPT = fileURLToPath(new URL('guest.sh', import.meta.url));
const TREE = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');
const PATH = [dirname(process.execPath), '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'].join(':');

/** The account that is made in each guest. It may use sudo without a password. */
export const NEWCOMER = 'newcomer';
/** Its home. */
export const HOME = `/home/${NEWCOMER}`;
/** This tree as it would lie there after `git clone` and `npm ci`. */
export const CLONE = `${HOME}/cape worker`;

/** How a program in the guest ended. Its output is trimmed at the end. */
export interface Answer {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** Both, as a terminal would have shown them. */
  readonly all: string;
}

export interface GuestOptions {
  /** With both the old and the new control groups mounted, as older distributions do; default: the new ones alone. */
  readonly hybrid?: boolean;
}

/** How long a single program may take, ms. */
const DEADLINE_MS = 120_000;

export class Guest {
  readonly #stage: ChildProcess;
  #printed = '';
  /** As seen from the outside: PID 1 of the guest. */
  #leader = 0;

  private constructor({ hybrid = false }: GuestOptions) {
    const args = ['--mount', '--propagation', 'private', 'sh', SCRIPT, String(process.pid), NEWCOMER, TREE];
    // Of its own session: Ctrl-C is for the tests, and the closing of the pipe for the guest, however the tests ended.
    this.#stage = spawn('unshare', args, {
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe'],
      // Left to itself it does as this machine does; 0 would be the old ones alone.
      env: { PATH, ...(hybrid ? {} : { SYSTEMD_NSPAWN_UNIFIED_HIERARCHY: '1' }) },
    });
    for (const stream of [this.#stage.stdout!, this.#stage.stderr!])
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.#printed += text;
      });
  }

  /** Boots one, and waits until it has come up. */
  static async boot(options: GuestOptions = {}): Promise<Guest> {
    const began = performance.now();
    const guest = new Guest(options);
    try {
      await guest.#up(0);
    } catch (error) {
      await guest.close();
      throw error;
    }
    const version = (await guest.run('systemctl', '--version')).stdout.split('\n')[0];
    say(`booted ${version} in ${seconds(performance.now() - began)}`);
    return guest;
  }

  async #up(before: number): Promise<void> {
    this.#leader = await until(() => leaderBelow(this.#stage.pid!, before), {
      timeoutMs: 60_000,
      what: `the guest's PID 1 to appear: ${this.#printed}`,
    });
    await until(async () => /^(running|degraded)$/.test((await this.try('systemctl', 'is-system-running')).stdout), {
      timeoutMs: 60_000,
      what: `the guest to come up: ${this.#printed}`,
    });
  }

  /** Runs a program as root, outside of any unit, and tells how it ended. */
  async try(...command: readonly string[]): Promise<Answer> {
    const inside = [
      '-t',
      String(this.#leader),
      '-a',
      '--',
      '/usr/bin/env',
      '-i',
      `PATH=${PATH}`,
      'LANG=C.UTF-8',
      'HOME=/root',
    ];
    const { exitCode, stdout, stderr, all, timedOut } = await execa('nsenter', [...inside, ...command], {
      reject: false,
      all: true,
      stdin: 'ignore',
      timeout: DEADLINE_MS,
    });
    if (timedOut) throw new Error(`not within ${seconds(DEADLINE_MS)}: ${command.join(' ')}\n${all}`);
    return { code: exitCode ?? -1, stdout, stderr, all };
  }

  /** The same where it has to succeed. */
  async run(...command: readonly string[]): Promise<Answer> {
    return succeeded(command.join(' '), await this.try(...command));
  }

  /** Runs a script as if typed by `user` after logging in: a session, a login shell and its environment. */
  async tryAs(user: string, script: string): Promise<Answer> {
    const session = ['--pipe', '--wait', '--collect', '--quiet', '-p', `User=${user}`, '-p', 'PAMName=login'];
    return this.try('systemd-run', ...session, 'bash', '-lc', `PATH="$PATH:${dirname(process.execPath)}"; ${script}`);
  }

  /** The same where it has to succeed. */
  async runAs(user: string, script: string): Promise<Answer> {
    return succeeded(script, await this.tryAs(user, script));
  }

  /** The words of a file in the guest; null where it is missing. */
  async read(path: string): Promise<string | null> {
    const { code, stdout } = await this.try('cat', path);
    return code === 0 ? stdout : null;
  }

  async write(path: string, text: string): Promise<void> {
    await this.run('sh', '-c', 'mkdir -p "$(dirname "$1")" && printf %s "$2" > "$1"', 'sh', path, text);
  }

  /** A property of a unit, as `systemctl show` has it. */
  async property(unit: string, name: string): Promise<string> {
    return (await this.run('systemctl', 'show', '--property', name, '--value', unit)).stdout;
  }

  /** Asks for a reboot as an administrator would. @returns how long it took to be up again, ms */
  async reboot(): Promise<number> {
    const began = performance.now();
    const before = this.#leader;
    await this.run('systemctl', 'reboot');
    await this.#up(before);
    return performance.now() - began;
  }

  /** Powers it off; all of it is gone afterwards. */
  async close(): Promise<void> {
    if (this.#stage.exitCode !== null || this.#stage.signalCode !== null) return;
    const gone = new Promise((resolve) => this.#stage.once('close', resolve));
    this.#stage.stdin!.end();
    await gone;
  }
}

function succeeded(what: string, answer: Answer): Answer {
  if (answer.code !== 0) throw new Error(`exit code ${answer.code}: ${what}\n${answer.all}`);
  return answer;
}

/** The PID 1 of a guest among what descends from `pid`, unless it is the one `before`; 0 where there is none. */
function leaderBelow(pid: number, before: number): number {
  for (const child of childrenOf(pid)) {
    // Below it are the managers of its users, which are called the same.
    const found = isLeader(child) ? child : leaderBelow(child, before);
    if (found !== 0 && found !== before) return found;
  }
  return 0;
}

/** nspawn's own helpers are PID 1 there too, for a moment, and some are outside. */
function isLeader(pid: number): boolean {
  return /^Name:\tsystemd$/m.test(statusOf(pid)) && /^NSpid:\t\d+\t1$/m.test(statusOf(pid));
}

function childrenOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
      readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8').split(' ').filter(Boolean).map(Number),
    );
  } catch {
    return []; // it has ended meanwhile
  }
}

function statusOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/status`, 'utf8');
  } catch {
    return '';
  }
}

/**
 * Shows what a test has seen: these tests are also the proof for whoever reads their output. With the name of the test's
 * file, since several run at the same time.
 */
export function say(text: string): void {
  const name = basename(expect.getState().testPath ?? '', '.test.ts');
  process.stdout.write(`${text.trimEnd().replaceAll(/^/gm, `  ${name} | `)}\n`);
}

export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

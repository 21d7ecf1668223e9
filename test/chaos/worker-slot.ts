/** One worker of a run: a real process of the built program, its proxy, its folder, and everything done to it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream, mkdirSync, readdirSync, readFileSync, type WriteStream, writeFileSync } from 'node:fs';
import { uptime } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { stateOf } from '../../src/execution/processes.js';
import type { TcpProxy } from '../support/proxy.js';
import { commandOf } from './sightings.js';

const here = (name: string) => fileURLToPath(new URL(name, import.meta.url));

const SETTINGS = [
  ...['--concurrency', '4', '--grace', '1s', '--poll-interval', '2s'],
  ...['--retry-base', '300ms', '--retry-cap', '3s', '--max-attempts', '3', '--output-limit', '256KiB'],
  ...['--pass-env', 'CHAOS_LEDGER', '--log-max-size', '1MiB'],
];
/** What a service manager does with a worker that has left by itself. */
const RESTART_MS = 1000;

export interface SlotOptions {
  readonly name: string;
  readonly machine: string;
  /** How long its leases are, seconds. */
  readonly lease: number;
  readonly proxy: TcpProxy;
  readonly databaseUrl: string;
  readonly dir: string;
  readonly ledger: string;
  /** dist/cli/main.js, or that of a sabotaged copy. */
  readonly program: string;
}

/** A worker that ended without having been asked to. */
export interface Departure {
  readonly worker: string;
  readonly at: number;
  readonly how: string;
}

export class WorkerSlot {
  readonly name: string;
  readonly proxy: TcpProxy;
  readonly logDir: string;
  readonly departures: Departure[] = [];
  readonly #options: SlotOptions;
  readonly #clock: string;
  readonly #output: WriteStream;
  #child: ChildProcess | null = null;
  #exited: Promise<void> = Promise.resolve();
  #asked = false;
  /** It has printed something: before that Node is still loading it, and no program can catch a signal then. */
  #spoke = false;
  #closed = false;

  constructor(options: SlotOptions) {
    this.name = options.name;
    this.proxy = options.proxy;
    this.#options = options;
    this.logDir = join(options.dir, 'logs');
    this.#clock = join(options.dir, 'clock');
    mkdirSync(this.logDir, { recursive: true });
    this.#output = createWriteStream(join(options.dir, 'output'), { flags: 'a' });
  }

  get pid(): number | null {
    return this.#child?.pid ?? null;
  }

  /** Starts it; one that is on its way out is waited for first. */
  async up(): Promise<void> {
    if (this.#child && this.#asked) await this.#exited;
    if (!this.#child && !this.#closed) this.#start();
  }

  signal(name: NodeJS.Signals): void {
    if (name === 'SIGKILL' || name === 'SIGTERM') this.#asked = true;
    this.#child?.kill(name);
  }

  /** Resolves once no process of it runs. */
  async gone(): Promise<void> {
    if (this.#child) await this.#exited;
  }

  keeper(): number | null {
    return this.pid === null ? null : childOf(this.pid, 'keeper.cjs');
  }

  warden(): number | null {
    const keeper = this.keeper();
    return keeper === null ? null : childOf(keeper, 'warden.sh');
  }

  shiftClock(ms: number): void {
    writeFileSync(this.#clock, String(ms));
  }

  /** SIGTERM, and SIGKILL where that takes too long. @returns true where it left in time and with code 0, or had not begun */
  async close(limitMs: number): Promise<boolean> {
    this.#closed = true;
    this.signal('SIGCONT');
    const child = this.#child;
    if (!child) return true;
    this.signal('SIGTERM');
    const late = pause(limitMs, 'late', { ref: false });
    if ((await Promise.race([this.#exited, late])) === 'late') {
      this.signal('SIGKILL');
      await this.#exited;
    }
    return child.exitCode === 0 || (child.signalCode === 'SIGTERM' && !this.#spoke);
  }

  /** At once and whatever becomes of its commands, for the end of a run that is given up. */
  async kill(): Promise<void> {
    this.#closed = true;
    this.signal('SIGKILL');
    await this.#exited;
  }

  end(): void {
    this.#output.end();
  }

  #start(): void {
    const { name, machine, lease, program, dir, ledger, databaseUrl, proxy } = this.#options;
    const command = `'${here('command.sh')}' {id} {description}`;
    const args = ['--worker-id', name, '--machine-id', machine, '--log-dir', this.logDir, '--command', command];
    args.push('--lease', `${lease}s`);
    const child = spawn(
      process.execPath,
      ['--import', pathToFileURL(here('preload.mjs')).href, program, ...args, ...SETTINGS],
      {
        cwd: dir,
        // Nothing of whoever runs this: no DATABASE_URL but that of this run's own database.
        env: {
          PATH: process.env.PATH,
          HOME: dir,
          DATABASE_URL: proxy.url(databaseUrl),
          CHAOS_LEDGER: ledger,
          CHAOS_CLOCK: this.#clock,
        },
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
    child.stdout.pipe(this.#output, { end: false });
    child.stderr.pipe(this.#output, { end: false });
    this.#output.write(`-- ${name} starts at ${uptime()} as pid ${child.pid}\n`);
    this.#child = child;
    this.#asked = false;
    this.#spoke = false;
    for (const stream of [child.stdout, child.stderr]) stream.once('data', () => (this.#spoke = true));
    this.#exited = new Promise((done) => {
      child.once('exit', (code, signal) => {
        this.#output.write(`-- ${name} ends at ${uptime()} with ${signal ?? code}\n`);
        this.#child = null;
        if (!this.#asked) this.#left(`${signal ?? `exit code ${code}`}`);
        done();
      });
    });
  }

  #left(how: string): void {
    this.departures.push({ worker: this.name, at: uptime(), how });
    if (!this.#closed) setTimeout(() => void this.up(), RESTART_MS).unref();
  }
}

function childOf(parent: number, what: string): number | null {
  for (const name of readdirSync('/proc')) {
    if (name.charCodeAt(0) > 57 || parentOf(name) !== parent) continue;
    if (commandOf(Number(name)).includes(what) && !stateOf(Number(name))?.zombie) return Number(name);
  }
  return null;
}

function parentOf(pid: string): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
  } catch {
    return 0;
  }
}

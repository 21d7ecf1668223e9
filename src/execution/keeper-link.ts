/** The worker's end of one keeper process: from its spawn to the proof that nothing of it is left. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, realpathSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { messageOf } from '../core/errors.js';
import { makeFolder } from '../folders.js';
import type { Log } from '../log.js';
import { within } from './clock.js';
import { machineIdentity } from './machine.js';
import { identify } from './processes.js';
import { type FromKeeper, KEEPER_FD, type KeeperConfig, listen, say, type ToKeeper } from './protocol.js';
import type { HelperRecord } from './spec.js';
import { KEEPER_VARIABLE } from './sweep.js';
import { builtFile, notedGroups, ownerOf, runWarden } from './warden.js';

export interface LinkOptions {
  /** A folder of ours alone (0700, made by the caller); each keeper has one of its own in it. */
  readonly stateDir: string;
  readonly graceMs: number;
  readonly toolPath: string;
  readonly nodeArgs: readonly string[];
  /** A keeper that leaves so many pings in a row unanswered, one every `pingMs`, is stuck and is killed. */
  readonly pingMs: number;
  readonly missedPings: number;
  readonly log: Log;
}

/** Why a keeper is gone. `greeted` is false where it never came up: then no command was started. */
export interface Farewell {
  readonly reason: string;
  readonly greeted: boolean;
  /** Nothing of what it started is left. False only where even repeated kills did not end everything. */
  readonly proven: boolean;
}

/** A start of Node takes 40 ms; on a machine that is busy beyond measure, seconds. */
const COME_UP_MS = 30_000;
/** A keeper that was asked to leave, with nothing to do, and has not left after so long is stuck. */
const LEAVE_MS = 10_000;
/** Beyond its grace, before we stop waiting for the warden of a vanished keeper. */
const WARDEN_MS = 10_000;
const RESCUE_TRIES = 5;

export class KeeperLink {
  /** Resolves when keeper, warden and all that they started are gone, or can't be made to go. Never rejects. */
  readonly gone: Promise<Farewell>;
  readonly #options: LinkOptions;
  readonly #config: KeeperConfig;
  readonly #child: ChildProcess;
  readonly #socket: Socket;
  readonly #pinger: NodeJS.Timeout;
  /** Where its runs have control groups, as it told. */
  #controlGroup: string | null | undefined;
  #unanswered = 0;
  #greeted = false;
  #ending = false;
  #stuck = '';

  /** Starts a keeper. @throws where its folder can't be made or no process can be started */
  constructor(options: LinkOptions, onMessage: (message: FromKeeper) => void) {
    this.#options = options;
    this.#config = configure(options);
    this.#child = spawnKeeper(this.#config, options.nodeArgs);
    this.#socket = pipeOf(this.#child, KEEPER_FD.messages);
    this.#socket.on('error', () => {}); // its exit tells
    listen<FromKeeper>(this.#socket, (message) => {
      if (message.t === 'pong') this.#unanswered = 0;
      if (message.t === 'helpers') this.#greet(message.record);
      onMessage(message);
    });
    createInterface({ input: this.#child.stderr! }).on('line', (line) => options.log.warn(`keeper: ${line}`));
    setTimeout(() => this.#greeted || this.#kill('did not come up'), COME_UP_MS).unref();
    this.#pinger = setInterval(() => this.#ping(), options.pingMs);
    this.gone = this.#watch();
  }

  /** True once it leaves or is gone: it takes no more commands. */
  get ending(): boolean {
    return this.#ending;
  }

  say(message: ToKeeper): void {
    say(this.#socket, message);
  }

  /** Lets it go; it ends what still runs first. */
  leave(): void {
    if (this.#ending) return;
    this.#ending = true;
    clearInterval(this.#pinger);
    this.#socket.end();
    setTimeout(() => this.#kill('did not leave when asked to'), this.#config.graceMs + LEAVE_MS).unref();
  }

  #greet({ controlGroup }: HelperRecord): void {
    this.#greeted = true;
    this.#controlGroup = controlGroup;
  }

  #ping(): void {
    if (!this.#greeted) return;
    const { missedPings, pingMs } = this.#options;
    // Pings are counted, not timed: after a stop of our own the answers lie unread, and a clock would blame the keeper.
    if (this.#unanswered++ >= missedPings) this.#kill(`did not answer for ${(missedPings * pingMs) / 1000} s`);
    else this.say({ t: 'ping' });
  }

  #kill(reason: string): void {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#stuck = reason;
    this.#child.kill('SIGKILL');
  }

  async #watch(): Promise<Farewell> {
    const proof = pipeOf(this.#child, KEEPER_FD.proof);
    const bothGone = new Promise<void>((done) => proof.once('close', () => done()));
    proof.on('error', () => {}).resume();
    const { reason, inPeace } = await this.#exit();
    this.#ending = true;
    clearInterval(this.#pinger);
    await within(bothGone, this.#config.graceMs + WARDEN_MS);
    const proven = inPeace || (await this.#rescue());
    // Ends our side of the lifeline as well.
    for (const stream of this.#child.stdio) stream?.destroy();
    await rm(this.#config.dir, { recursive: true, force: true }).catch((error) =>
      this.#options.log.warn(`can't remove ${this.#config.dir}: ${messageOf(error)}`),
    );
    return { reason, greeted: this.#greeted, proven };
  }

  #exit(): Promise<{ reason: string; inPeace: boolean }> {
    return new Promise((done) => {
      this.#child.once('exit', (code, signal) => {
        const end = signal ? `was ended by ${signal}` : `ended with exit code ${code}`;
        done({ reason: this.#stuck || end, inPeace: this.#ending && code === 0 });
      });
    });
  }

  /** The warden has done its work by now; this run of its script is the proof, or does it where the warden died too. */
  async #rescue(): Promise<boolean> {
    const { log, toolPath } = this.#options;
    for (let tries = 1; ; tries++) {
      try {
        const noted = await notedGroups(join(this.#config.dir, 'groups'));
        const ours = noted.filter((group) => ownerOf(group, this.#config.token) === 'ours');
        const groups = ours.map(({ pid }) => pid);
        const guarded = { ...this.#config, controlGroup: this.#controlGroup };
        if (await runWarden(guarded, groups, toolPath)) return true;
        log.error('processes of a command could not be ended after its keeper was gone');
      } catch (error) {
        log.error(`can't end what a lost keeper left: ${messageOf(error)}`);
      }
      if (tries === RESCUE_TRIES) return false;
      await pause(tries * 1000);
    }
  }
}

function configure({ stateDir, graceMs, toolPath }: LinkOptions): KeeperConfig {
  const token = randomBytes(12).toString('hex');
  // Somebody may have removed it since the start.
  makeFolder(stateDir, 0o700);
  // The real path: /proc shows that one.
  const dir = join(realpathSync(stateDir), token);
  mkdirSync(dir, { mode: 0o700 });
  const worker = identify(process.pid) ?? { pid: process.pid, start: '' };
  return { token, dir, worker, machine: machineIdentity(), graceMs, toolPath };
}

/**
 * Its memory sets the price of a start: a young generation that may not grow to 48 MB made 16 at a time a tenth faster.
 * Its optimised code is never worth its making: that took 4 % of all processor time in the first 2,000 commands. Each
 * thread is a stack and a heap of its own for a fork to copy: without V8's four, and with one heap for all, a start took
 * a tenth less of the keeper.
 */
const SMALL = ['--max-semi-space-size=1', '--no-opt', '--v8-pool-size=0'];
const ONE_HEAP = { MALLOC_ARENA_MAX: '1' };

function spawnKeeper(config: KeeperConfig, nodeArgs: readonly string[]): ChildProcess {
  const child = spawn(process.execPath, [...SMALL, ...nodeArgs, builtFile('keeper.cjs'), JSON.stringify(config)], {
    detached: true,
    // 3 to 5 as KEEPER_FD names them. Nobody but us holds our ends: they close when we are gone, however that happens.
    stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'pipe', 'pipe'],
    // A command shows the keeper's environment until it is executed, and must be found then, too.
    env: { PATH: config.toolPath, [KEEPER_VARIABLE]: config.token, ...ONE_HEAP },
    cwd: '/',
  });
  child.on('error', () => {}); // comes too late for us to say more than this:
  if (child.pid === undefined)
    throw new Error(
      `the keeper could not be started: is ${process.execPath} there, are too many processes or files open?`,
    );
  return child;
}

/** Node's types know five descriptors; there are as many as `stdio` asked for. */
function pipeOf(child: ChildProcess, fd: number): Socket {
  return (child.stdio as readonly unknown[])[fd] as Socket;
}

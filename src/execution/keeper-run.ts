/** One run in the keeper: its start, the watch over it, and the one way in which all runs end. */
import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, closeSync, constants, existsSync, statSync, writeFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import type { Exit } from '../core/outcome.js';
import { after, isPast, monotonic, within } from './clock.js';
import type { ControlGroup } from './control-group.js';
import type { ControlGroups, Spawned } from './control-groups.js';
import type { FifoPool, Pipe } from './fifos.js';
import type { GroupNotes } from './group-notes.js';
import type { GroupWatch } from './group-watch.js';
import type { GrownOutput } from './grown-output.js';
import { identify, signal, stateOf } from './processes.js';
import type { Ending, StartFailure } from './protocol.js';
import { Pump } from './pump.js';
import { Sink } from './sink.js';
import type { CommandSpec, Deadline, EndReason } from './spec.js';
import { KEEPER_VARIABLE, RUN_VARIABLE, type Sweeper } from './sweep.js';

/** What runs share: each is its own small thing, the keeper makes one of each. */
export interface RunTools {
  readonly fifos: FifoPool;
  readonly notes: GroupNotes;
  readonly watch: GroupWatch;
  readonly sweeper: Sweeper;
  readonly controlGroups: ControlGroups;
  readonly grown: GrownOutput;
  readonly keeperToken: string;
}

export interface RunEvents {
  readonly onFailure: (failure: StartFailure) => void;
  readonly onEnded: (ending: Ending) => void;
}

/** Processes in the kernel's own sleep do not die at once; after so many tries (2 s) we go on and say so. */
const KILL_TRIES = 100;
const EXIT_WAIT_MS = 1000;
const YOUNG_MS = 20;
/** The kernel then takes a command rather than the worker when memory ends. */
const OOM_SCORE = '500';

/** Starts a command. Null where that failed, which `onFailure` tells (later, for most reasons). */
export function startRun(spec: CommandSpec, until: Deadline, tools: RunTools, events: RunEvents): KeeperRun | null {
  const fail = (stage: StartFailure['stage'], error: unknown) => {
    const { code = 'unknown', message } = error as NodeJS.ErrnoException;
    events.onFailure({ stage, code, message: explain(message, code, spec.file, stage) });
    return null;
  };
  const failExec = (error: unknown) => {
    try {
      // Spawn says ENOENT for a missing folder too, and would blame the command.
      checkFolder(spec.cwd);
    } catch (folderError) {
      return fail('cwd', folderError);
    }
    return fail('exec', error);
  };
  let pipe: Pipe;
  try {
    pipe = tools.fifos.take();
  } catch (error) {
    return fail('output', error);
  }
  try {
    const spawned = tools.controlGroups.spawn(() => spawnCommand(spec, pipe.write, tools.keeperToken));
    const { child } = spawned;
    if (child.pid !== undefined) return new KeeperRun(spawned, spec, until, pipe, tools, events.onEnded);
    leave(pipe);
    child.once('error', failExec); // with the errno of the child's own exec
  } catch (error) {
    leave(pipe);
    failExec(error); // E2BIG is thrown at once
  } finally {
    closeSync(pipe.write);
  }
  return null;
}

export class KeeperRun {
  readonly spec: CommandSpec;
  readonly pid: number;
  until: Deadline;
  readonly #beganAt = monotonic();

  readonly #tools: RunTools;
  readonly #group: ControlGroup | null;
  readonly #pipe: Pipe;
  readonly #pump: Pump;
  readonly #timeoutAt: number;
  readonly #onEnded: (ending: Ending) => void;
  readonly #exited: Promise<void>;
  #exit: Exit | null = null;
  #why: EndReason | null = null;
  #graceMs: number;
  #ending = false;

  constructor(
    { child, group }: Spawned,
    spec: CommandSpec,
    until: Deadline,
    pipe: Pipe,
    tools: RunTools,
    onEnded: (ending: Ending) => void,
  ) {
    this.spec = spec;
    this.pid = child.pid!;
    this.until = until;
    this.#tools = tools;
    this.#group = group;
    this.#pipe = pipe;
    this.#onEnded = onEnded;
    this.#graceMs = spec.graceMs;
    this.#timeoutAt = this.#beganAt + spec.timeoutMs;
    // A command that has ended already is still there as a zombie: nobody waits for it before we are back in the loop.
    tools.notes.add({ pid: this.pid, start: stateOf(this.pid)?.start ?? '' });
    raiseOomScore(this.pid);
    const sink = new Sink(spec.logPath, spec.logLimit, spec.tailBytes);
    if (spec.tellsOutput) sink.onGrown = () => tools.grown.add(spec.id, sink.bytes);
    this.#pump = new Pump(pipe.read, sink, () => monotonic());
    this.#exited = new Promise((done) => {
      child.once('exit', (code, signalName) => {
        this.#exit = { code, signal: signalName };
        done();
        void this.#finish();
      });
    });
  }

  /** True while it may be one of those that end at once. */
  get young(): boolean {
    return monotonic() - this.#beganAt < YOUNG_MS;
  }

  /** Ends it where a deadline has passed. */
  check(at: Deadline): void {
    const idleMs = this.spec.idleTimeoutMs;
    // We were frozen, and with us the host: the lease may be another's by now, who need not wait for our grace.
    if (isPast(after(this.until, this.spec.graceMs), at)) this.kill('unconfirmed');
    else if (isPast(this.until, at)) this.end('unconfirmed');
    else if (at.mono > this.#timeoutAt) this.end('timed_out');
    else if (idleMs > 0 && at.mono - this.#pump.lastOutput > idleMs) this.end('idle');
  }

  /** The first reason wins, and a command that has ended by itself needs none: it did what it did. */
  end(why: EndReason): void {
    if (this.#why || this.#ending || identify(this.pid) === null) return;
    this.#why = why;
    // At once: what follows begins with a look at all processes.
    if (this.#graceMs === 0) this.#killAll();
    void this.#finish();
  }

  /** No more grace, also where it is being ended already. */
  kill(why: EndReason = 'interrupted'): void {
    this.#graceMs = 0;
    this.end(why);
  }

  /** Process group, control group, strays, output, notes: one order for an exit, a timeout, a cancel, a lost lease and a lost worker. */
  async #finish(): Promise<void> {
    if (this.#ending) return;
    this.#ending = true;
    const { sweeper, notes } = this.#tools;
    const alone = !(await this.#groupAlive());
    const groupGone = alone || (await this.#endGroup());
    const emptied = (await this.#group?.end()) ?? true;
    // Also where that is proof: a command may go to another group by itself (`su -`, systemd-run --scope).
    let swept = true;
    // The row of a success runs nowhere again, so its strays may wait for a pass shared with others.
    if (alone && this.#exit?.code === 0) sweeper.later(this.spec.token);
    else swept = await sweeper.now(this.spec.token);
    await within(this.#exited, EXIT_WAIT_MS);
    await this.#pump.finish();
    this.#pipe.done();
    notes.remove(this.pid);
    this.#onEnded(this.#summary(groupGone && emptied && swept));
  }

  async #endGroup(): Promise<boolean> {
    const began = monotonic();
    signal(-this.pid, 'SIGTERM');
    await this.#graceWhile(began, () => this.#groupAlive());
    // Only now, so that it can do without them what it does upon its SIGTERM. What a command that ended by itself left
    // in sessions of their own gets none: nobody is to wait for it.
    if (this.#why) await this.#endStrays(began);
    for (let tries = 0; (await this.#groupAlive()) && tries < KILL_TRIES; tries++) {
      this.#killAll();
      await pause(Math.min(tries + 1, 20));
    }
    return !(await this.#groupAlive());
  }

  /** SIGTERM to what left the process group, and what remains of the grace: only a control group tells who that is. */
  async #endStrays(began: number): Promise<void> {
    if (monotonic() - began >= this.#graceMs) return;
    for (const pid of this.#group?.strays(this.pid) ?? []) signal(pid, 'SIGTERM');
    await this.#graceWhile(began, () => this.#group?.populated ?? false);
  }

  async #graceWhile(began: number, alive: () => Promise<boolean> | boolean): Promise<void> {
    for (let wait = 1; (await alive()) && monotonic() - began < this.#graceMs; wait = Math.min(wait * 2, 50))
      await pause(wait);
  }

  #killAll(): void {
    signal(-this.pid, 'SIGKILL');
    this.#group?.kill(); // processes of another user in the process group, too
  }

  #groupAlive(): Promise<boolean> {
    return this.#tools.watch.alive(this.pid);
  }

  #summary(allGone: boolean): Ending {
    const { sink } = this.#pump;
    return {
      code: this.#exit?.code ?? null,
      signal: this.#exit?.signal ?? null,
      why: this.#why,
      tail: sink.tail(),
      bytes: sink.bytes,
      lost: sink.lost,
      logError: sink.error,
      survivors: !allGone,
    };
  }
}

/** Nothing was started. Our writing end is closed by whoever opened it. */
function leave(pipe: Pipe): void {
  closeSync(pipe.read);
  pipe.done();
}

function spawnCommand(spec: CommandSpec, output: number, keeperToken: string): ChildProcess {
  const marks = { [RUN_VARIABLE]: spec.token, [KEEPER_VARIABLE]: keeperToken };
  return spawn(spec.file, spec.args, {
    cwd: spec.cwd,
    // The marks come first: a sweep reads only the beginning of a huge environment.
    env: { ...marks, ...spec.env, ...marks },
    detached: true, // a session of its own: no terminal, and one group to signal
    stdio: ['ignore', output, output],
  });
}

function checkFolder(path: string): void {
  if (!statSync(path).isDirectory()) throw Object.assign(new Error('not a directory'), { code: 'ENOTDIR' });
  accessSync(path, constants.X_OK);
}

function explain(message: string, code: string, file: string, stage: StartFailure['stage']): string {
  if (stage !== 'exec') return message;
  if (code === 'ENOENT') return existsSync(file) ? 'the interpreter in its first line does not exist' : 'no such file';
  if (code === 'EACCES') return 'not executable for this user';
  return message;
}

function raiseOomScore(pid: number): void {
  try {
    writeFileSync(`/proc/${pid}/oom_score_adj`, OOM_SCORE);
  } catch {
    // It has ended already, or there is no such file here: only a preference is lost.
  }
}

/**
 * The keeper: a process of its own between a worker and its commands. It starts them, moves their output, holds their
 * deadlines and ends them, whatever becomes of the worker (ended, stopped, out of memory). It is small, since every
 * resident MB makes a spawn dearer: with 300 MB in the worker the keeper spawns 11 times as fast as the worker would.
 * When it is gone itself, its warden ends what it left.
 */
import { closeSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';
import { isPast, now } from './clock.js';
import { ControlGroups } from './control-groups.js';
import { FifoPool } from './fifos.js';
import { GroupNotes, type GuardedConfig } from './group-notes.js';
import { GroupWatch } from './group-watch.js';
import { GrownOutput } from './grown-output.js';
import { type KeeperRun, type RunTools, startRun } from './keeper-run.js';
import { identify } from './processes.js';
import { type Ending, KEEPER_FD, type KeeperConfig, listen, say, type ToKeeper } from './protocol.js';
import type { EndReason, HelperRecord } from './spec.js';
import { type Start, StartQueue } from './start-queue.js';
import { Sweeper } from './sweep.js';
import { Telling } from './telling.js';

/** How exact deadlines are. 2 ms of processor time a second, and none while nothing runs. */
const TICK_MS = 100;
const CLOEXEC = 0o2000000;
/** Bytes that the worker has not read: with more it is told what it must know, and nothing else. */
const UNREAD = 64 * 1024;

function neverBegan(why: EndReason): Ending {
  return { code: null, signal: null, why, tail: '', bytes: 0, lost: 0, logError: null, survivors: false };
}

class Keeper {
  readonly #config: KeeperConfig;
  readonly #starts = new StartQueue((start) => this.#start(start));
  readonly #telling: Telling;
  readonly #runs = new Map<string, KeeperRun>();
  readonly #tools: RunTools;
  #ticker: NodeJS.Timeout | null = null;
  #leaving = false;
  /** What a full disk did not take yet. */
  #unsaved: HelperRecord | null = null;

  constructor(config: KeeperConfig, worker: Socket) {
    this.#config = config;
    this.#telling = new Telling(
      (messages) => say(worker, ...messages),
      () => this.#aboutToEnd(),
    );
    const controlGroups = new ControlGroups(config.token, complain);
    const guarded = { ...config, controlGroup: controlGroups.base };
    this.#tools = {
      controlGroups,
      fifos: new FifoPool(config.dir, config.toolPath),
      notes: new GroupNotes(join(config.dir, 'groups'), guarded, (pid) => this.#introduce(pid, guarded)),
      watch: new GroupWatch(),
      sweeper: new Sweeper(),
      grown: new GrownOutput((grown) => {
        if (worker.writableLength > UNREAD) return false;
        this.#telling.tell({ t: 'output', grown });
        return true;
      }),
      keeperToken: config.token,
    };
    listen<ToKeeper>(worker, (message) => this.#obey(message));
    worker.on('error', () => {}); // 'close' follows
    worker.once('end', () => this.#leave());
    worker.once('close', () => this.#leave());
  }

  #obey(message: ToKeeper): void {
    switch (message.t) {
      case 'start':
        this.#starts.add(message);
        break;
      case 'confirm':
        for (const [id, until] of message.deadlines) {
          const run = this.#runs.get(id);
          if (run) run.until = until;
          else this.#starts.confirm(id, until);
        }
        break;
      case 'end':
        if (this.#starts.remove(message.id)) this.#neverBegan(message.id, message.why);
        else this.#runs.get(message.id)?.end(message.why);
        break;
      case 'kill':
        if (this.#starts.remove(message.id)) this.#neverBegan(message.id, 'interrupted');
        else this.#runs.get(message.id)?.kill();
        break;
      case 'ping':
        this.#telling.tell({ t: 'pong' });
    }
  }

  #neverBegan(id: string, why: EndReason): void {
    this.#telling.tell({ t: 'ended', id, ending: neverBegan(why) });
  }

  #start({ spec, until }: Start): void {
    const { id } = spec;
    // It lay in the pipe while we were stopped: its lease may be another worker's by now.
    if (isPast(until)) {
      this.#neverBegan(id, 'unconfirmed');
      return;
    }
    if (this.#unsaved) this.#save(this.#unsaved);
    const run = startRun(spec, until, this.#tools, {
      onFailure: (failure) => this.#telling.tell({ t: 'unrunnable', id, failure }),
      onEnded: (ending) => {
        this.#runs.delete(id);
        this.#telling.tell({ t: 'ended', id, ending }, !run?.young);
        if (this.#leaving) void this.#leaveWhenDone();
      },
    });
    if (!run) return;
    this.#runs.set(id, run);
    this.#telling.tell({ t: 'started', id, pid: run.pid });
    this.#ticker ??= setInterval(() => this.#tick(), TICK_MS);
  }

  #aboutToEnd(): number {
    let young = this.#starts.size;
    for (const run of this.#runs.values()) if (run.young) young += 1;
    return young;
  }

  #tick(): void {
    const at = now();
    for (const run of this.#runs.values()) run.check(at);
    if (this.#runs.size > 0 || !this.#ticker) return;
    clearInterval(this.#ticker);
    this.#ticker = null;
  }

  /** The worker has closed its side, or is gone. */
  #leave(): void {
    if (this.#leaving) return;
    this.#leaving = true;
    for (const id of this.#starts.clear()) this.#neverBegan(id, 'interrupted');
    for (const run of this.#runs.values()) run.end('interrupted');
    void this.#leaveWhenDone();
  }

  async #leaveWhenDone(): Promise<void> {
    await this.#tools.sweeper.settle();
    if (this.#runs.size > 0) return;
    this.#telling.flush();
    this.#tools.notes.close();
    rmSync(this.#config.dir, { recursive: true, force: true, maxRetries: 3 }); // a last mkfifo may be at work in it
    process.exit(0);
  }

  /** Tells who guards the commands: to the worker, and on disk before the first command starts. */
  #introduce(wardenPid: number, { dir, token, worker, machine, graceMs, controlGroup }: GuardedConfig): void {
    const record: HelperRecord = {
      token,
      groupsFile: join(dir, 'groups'),
      worker,
      keeper: identify(process.pid) ?? { pid: process.pid, start: '' },
      warden: identify(wardenPid),
      machine,
      graceMs,
      controlGroup,
    };
    if (!this.#save(record)) complain(`can't note the helpers in ${dir}; tried again with each command`);
    this.#telling.tell({ t: 'helpers', record });
  }

  /** A full disk must not cost the commands their keeper: until it takes the record, the worker's row has it alone. */
  #save(record: HelperRecord): boolean {
    const { dir } = this.#config;
    this.#unsaved = record;
    try {
      writeFileSync(join(dir, 'record.new'), JSON.stringify(record), { mode: 0o600 });
      renameSync(join(dir, 'record.new'), join(dir, 'record.json'));
      this.#unsaved = null;
    } catch {
      // Said once for each warden by who asked.
    }
    return this.#unsaved === null;
  }
}

/** The worker logs it as a warning. */
function complain(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** What we inherited without its being meant for us would go on to every command: a lock, a secret, a listening socket. */
function closeInherited(): void {
  let names: string[];
  try {
    names = readdirSync('/proc/self/fdinfo');
  } catch {
    return; // macOS: there libuv closes them when it spawns
  }
  for (const fd of names.map(Number)) {
    if (fd > KEEPER_FD.proof && !closesOnExec(fd)) closeSync(fd);
  }
}

function closesOnExec(fd: number): boolean {
  try {
    const flags = /^flags:\s*([0-7]+)/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1] ?? '';
    return (Number.parseInt(flags, 8) & CLOEXEC) !== 0;
  } catch {
    return true; // the descriptor that listed the folder, closed by now
  }
}

closeInherited();
// Signals to everything of a user or a session are not for us: the worker's end is what counts.
for (const name of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT'] as const) process.on(name, () => {});
process.stderr.on('error', () => {}); // the worker reads it, and may be gone
new Keeper(JSON.parse(process.argv[2] ?? '') as KeeperConfig, new Socket({ fd: KEEPER_FD.messages }));

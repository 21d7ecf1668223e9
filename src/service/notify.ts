/**
 * Tells systemd how the worker is (sd_notify): ready, what it does, that its event loop turns, that a drain takes longer.
 *
 * By `systemd-notify`, 16 ms a call, since Node can't send to a datagram socket; an addon that can would have to bring
 * binaries for every platform. It returns when systemd has read the message (its barrier, from systemd 246 on): of 200
 * messages of an account without rights none was lost, without the barrier (--no-block, or an older systemd) 15, since the
 * unit of a process that has gone can't be told. Hence READY in every call, so that one that gets through is enough.
 */
import { messageOf } from '../core/errors.js';
import { firstLine, masked, oneLine } from '../core/text.js';
import { within } from '../execution/clock.js';
import type { Log } from '../log.js';
import type { WorkerState } from '../worker/state.js';
import { findTool } from './find-tool.js';
import { LONGEST_STATUS, statusLine } from './status-line.js';

export interface Notifying {
  /** For `onState` of the worker. */
  readonly state: (state: WorkerState) => void;
  /** Says what is being done before there is a worker, and has a start that takes long waited for meanwhile. */
  during<T>(words: string, work: Promise<T>): Promise<T>;
  /** Says nothing more but, where the worker failed, the reason. */
  close(problem: string | null): Promise<void>;
}

export interface NotifyOptions {
  readonly log: Log;
  /** Masked in what is said of a failure. */
  readonly secrets: readonly string[];
  /** Default: this process's. */
  readonly pid?: number;
  readonly paces?: Partial<Paces>;
}

/** Milliseconds. */
export interface Paces {
  /** Between two calls that tell nothing but STATUS: commands of milliseconds change the state all the time. */
  readonly statusEveryMs: number;
  readonly extendEveryMs: number;
  /** After a call that failed. */
  readonly retryMs: number;
}

const PACES: Paces = { statusEveryMs: 1000, extendEveryMs: 5000, retryMs: 2000 };

/** systemd may be reading its units anew. */
const CALL_MS = 10_000;
/** Each extension covers six intervals; a worker that hangs while it drains is ended after so long. */
const EXTEND_MS = 30_000;
const LAST_CALL_MS = 2000;

const SILENT: Notifying = { state() {}, during: (_, work) => work, async close() {} };

/** Active where NOTIFY_SOCKET is set. Nothing that goes wrong here harms the worker. */
export function startNotifying(
  environment: Readonly<Record<string, string | undefined>>,
  options: NotifyOptions,
): Notifying {
  const { NOTIFY_SOCKET: socket, WATCHDOG_USEC, WATCHDOG_PID } = environment;
  if (!socket) return SILENT;
  const tool = findTool('systemd-notify', environment);
  if (tool === null) {
    options.log.warn('NOTIFY_SOCKET is set, but there is no systemd-notify: the service manager is told nothing');
    return SILENT;
  }
  const { log, secrets, pid = process.pid } = options;
  const isOurs = WATCHDOG_PID === undefined || WATCHDOG_PID === '' || Number(WATCHDOG_PID) === pid;
  const watchdogMs = isOurs && Number(WATCHDOG_USEC) > 0 ? Number(WATCHDOG_USEC) / 1000 : null;
  const tools = import('./tool.js'); // execa takes a while to load: only for a service
  return new Notifier({
    send: async (words) => {
      try {
        const { runTool } = await tools;
        return (await runTool(tool, words, { timeoutMs: CALL_MS, env: { NOTIFY_SOCKET: socket } })).problem;
      } catch (error) {
        return messageOf(error);
      }
    },
    ...{ log, secrets, watchdogMs, paces: { ...PACES, ...options.paces } },
  });
}

interface NotifierParts {
  /** Resolves with what went wrong, '' where nothing did. */
  readonly send: (assignments: readonly string[]) => Promise<string>;
  readonly log: Log;
  readonly secrets: readonly string[];
  readonly watchdogMs: number | null;
  readonly paces: Paces;
}

/** One call at a time; what comes meanwhile goes together into the next, the newest value of each name. */
class Notifier implements Notifying {
  readonly #parts: NotifierParts;
  readonly #timers: NodeJS.Timeout[];
  #due: Record<string, string> = {};
  #sending: Promise<void> | null = null;
  #later: NodeJS.Timeout | undefined;
  #sentAt = Number.NEGATIVE_INFINITY;
  #closing = false;
  #closed = false;
  #everTold = false;
  #complained = false;
  #worker: WorkerState | null = null;
  #ready = false;
  #stopping = false;
  /** Something that takes long is under way before there is a worker. */
  #opening = false;
  #lastExtended = false;

  constructor(parts: NotifierParts) {
    this.#parts = parts;
    const { watchdogMs, paces } = parts;
    this.#timers = [setInterval(() => this.#extend(), paces.extendEveryMs).unref()];
    // A timer of the event loop, asked of nothing but the loops themselves: a database that is away is no reason to die.
    if (watchdogMs !== null) this.#timers.push(setInterval(() => this.#alive(), watchdogMs / 3).unref());
    this.#say({ STATUS: 'starting' });
  }

  readonly state = (state: WorkerState): void => {
    this.#worker = state;
    const words: Record<string, string> = { STATUS: statusLine(state) };
    const { phase, away } = state;
    // An outage must not make the start of the unit fail: whoever waits for the database is up.
    if (!this.#ready && (phase === 'working' || away !== null)) {
      this.#ready = true;
      words.READY = '1';
    }
    if (!this.#stopping && (phase === 'draining' || phase === 'ending')) {
      this.#stopping = true;
      words.STOPPING = '1';
    }
    this.#say(words);
    if (words.STOPPING || phase === 'migrating' || state.leavesBy !== null) this.#extend();
  };

  async during<T>(words: string, work: Promise<T>): Promise<T> {
    this.#opening = true;
    this.#say({ STATUS: words });
    try {
      return await work;
    } finally {
      this.#opening = false;
    }
  }

  async close(problem: string | null): Promise<void> {
    if (this.#closing) return;
    this.#closing = true;
    for (const timer of this.#timers) clearInterval(timer);
    this.#due = {};
    if (problem !== null)
      this.#say({ STATUS: firstLine(oneLine(`failed: ${masked(problem, this.#parts.secrets)}`), LONGEST_STATUS) });
    await within(this.#allSent(), LAST_CALL_MS);
    this.#closed = true;
    clearTimeout(this.#later);
  }

  async #allSent(): Promise<void> {
    while (this.#sending) await this.#sending;
  }

  #alive(): void {
    if (!this.#worker?.stuck) this.#say({ WATCHDOG: '1' });
  }

  /** Only for what has an end of its own: a worker that hangs says nothing, and is ended. */
  #extend(): void {
    if (this.#isLong()) this.#say({ EXTEND_TIMEOUT_USEC: String(EXTEND_MS * 1000) });
    else if (this.#stopping && !this.#lastExtended && this.#worker?.leavesBy) {
      // Nothing runs any more. Where the database is away its last words are waited for, and that is once and for all.
      this.#lastExtended = true;
      if (this.#worker.unwritten.length === 0) return;
      const ms = Math.max(0, this.#worker.leavesBy.getTime() - Date.now()) + EXTEND_MS;
      this.#say({ EXTEND_TIMEOUT_USEC: String(Math.ceil(ms) * 1000) });
    }
  }

  #isLong(): boolean {
    if (this.#worker === null) return this.#opening;
    const { phase, running } = this.#worker;
    // Once a unit is up, an extension would also be one of its watchdog's time.
    if (phase === 'migrating') return !this.#ready;
    return this.#stopping && running.length > 0;
  }

  #say(words: Readonly<Record<string, string>>): void {
    if (this.#closed) return;
    Object.assign(this.#due, words);
    this.#pump();
  }

  #pump(): void {
    if (this.#sending || this.#closed || Object.keys(this.#due).length === 0) return;
    clearTimeout(this.#later);
    const isUrgent = this.#closing || Object.keys(this.#due).some((name) => name !== 'STATUS');
    const waitMs = isUrgent ? 0 : this.#sentAt + this.#parts.paces.statusEveryMs - performance.now();
    if (waitMs > 0) this.#later = setTimeout(() => this.#send(), waitMs).unref();
    else this.#send();
  }

  #send(): void {
    const words = this.#due;
    this.#due = {};
    if (this.#ready && !this.#stopping) words.READY = '1';
    this.#sentAt = performance.now();
    const assignments = Object.entries(words).map(([name, value]) => `${name}=${value}`);
    this.#sending = this.#parts.send(assignments).then((problem) => {
      this.#sending = null;
      if (problem === '') {
        this.#everTold = true;
        this.#pump();
      } else this.#failed(problem, words);
    });
  }

  #failed(problem: string, words: Readonly<Record<string, string>>): void {
    if (!this.#complained) {
      // Never heard at all, a unit of Type=notify will not come up, and this is the only hint.
      this.#parts.log[this.#everTold ? 'debug' : 'warn'](
        `the service manager can't be told (systemd-notify: ${problem})`,
      );
      this.#complained = true;
    }
    this.#due = { ...words, ...this.#due };
    if (!this.#closed) this.#later = setTimeout(() => this.#pump(), this.#parts.paces.retryMs).unref();
  }
}

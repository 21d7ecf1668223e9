/** Hands commands to one keeper process and turns what it tells into Outcomes. */
import { messageOf } from '../core/errors.js';
import { Condition } from '../log/condition.js';
import type { Log } from '../log.js';
import { outcomeOfEnding, outcomeOfFailure, outcomeOfReason } from './ending.js';
import { type Farewell, KeeperLink, type LinkOptions } from './keeper-link.js';
import { LiveRun } from './live-run.js';
import type { FromKeeper } from './protocol.js';
import type { CommandSpec, Deadline, Executor, HelperRecord, Run } from './spec.js';
import { TOOL_PATH } from './warden.js';

export interface ExecutorOptions {
  /** A folder of this worker alone, mode 0700, that exists. */
  readonly stateDir: string;
  /** Between SIGTERM and SIGKILL when everything is ended because worker or keeper are gone, milliseconds. */
  readonly graceMs: number;
  readonly log: Log;
  /** The keeper leaves after so long without a command, milliseconds; default a minute. */
  readonly idleMs?: number;
  /** How often the keeper is asked whether it lives, milliseconds; default 1000. */
  readonly pingMs?: number;
  /** Unanswered pings after which it is killed; default 5. */
  readonly missedPings?: number;
  /** PATH for the helpers' own tools (sh, mkfifo, grep, sleep); commands have the PATH of their spec. */
  readonly toolPath?: string;
  /** Options of Node for the keeper. */
  readonly keeperNodeArgs?: readonly string[];
}

export class KeeperExecutor implements Executor {
  helpers: HelperRecord | null = null;
  onHelpers: ((helpers: HelperRecord | null) => void) | null = null;
  onOutput: Executor['onOutput'] = null;
  readonly #options: LinkOptions;
  readonly #idleMs: number;
  readonly #runs = new Map<string, LiveRun>();
  readonly #disk: Condition;
  #link: KeeperLink | null = null;
  #idleTimer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: ExecutorOptions) {
    const { idleMs = 60_000, pingMs = 1000, missedPings = 5, keeperNodeArgs: nodeArgs = [] } = options;
    const toolPath = options.toolPath ?? TOOL_PATH;
    const { stateDir, graceMs, log } = options;
    this.#options = { stateDir, graceMs, log, pingMs, missedPings, nodeArgs, toolPath };
    this.#idleMs = idleMs;
    this.#disk = new Condition(
      log,
      'the output of commands can not be written to its files; they run on, and only its end is kept',
      'the output of commands is written to its files again',
    );
  }

  /** How many runs it has in hand. */
  get running(): number {
    return this.#runs.size;
  }

  start(spec: CommandSpec, until: Deadline): Run {
    const run = new LiveRun(spec, until, (message) => this.#link?.say(message));
    if (this.#closed) run.settle(outcomeOfReason('interrupted', spec));
    else if (this.#runs.has(spec.id)) run.settle({ kind: 'unrunnable', error: `run ${spec.id} is already under way` });
    else this.#admit(run);
    return run;
  }

  confirm(deadlines: Iterable<readonly [id: string, until: Deadline]>): void {
    const known = [...deadlines].filter(([id]) => this.#runs.has(id));
    for (const [id, until] of known) this.#runs.get(id)!.until = until;
    if (known.length > 0) this.#link?.say({ t: 'confirm', deadlines: known });
  }

  async close(): Promise<void> {
    this.#closed = true;
    const runs = [...this.#runs.values()];
    for (const run of runs) run.end('interrupted');
    await Promise.all(runs.map((run) => run.ended));
    this.#link?.leave();
    await this.#link?.gone;
  }

  #admit(run: LiveRun): void {
    clearTimeout(this.#idleTimer);
    this.#runs.set(run.spec.id, run);
    void run.ended.then(() => {
      this.#runs.delete(run.spec.id);
      if (this.#runs.size === 0) this.#leaveLater();
    });
    // A keeper on its way out is waited for: two at once, and a successor would not know whom to ask after.
    if (!this.#link?.ending) this.#send(run);
  }

  #send(run: LiveRun): void {
    try {
      this.#link ??= this.#openLink();
    } catch (error) {
      run.settle({ kind: 'unrunnable', error: `can't start the keeper of commands: ${messageOf(error)}` });
      return;
    }
    run.send();
  }

  #openLink(): KeeperLink {
    const link = new KeeperLink(this.#options, (message) => this.#hear(message));
    void link.gone.then((farewell) => this.#afterLink(farewell));
    return link;
  }

  #hear(message: FromKeeper): void {
    if (message.t === 'pong') return;
    if (message.t === 'helpers') {
      this.#setHelpers(message.record);
      return;
    }
    if (message.t === 'output') {
      this.onOutput?.(message.grown);
      return;
    }
    const run = this.#runs.get(message.id);
    if (!run) return;
    if (message.t === 'started') run.begin(message.pid);
    else if (message.t === 'unrunnable') run.settle(outcomeOfFailure(message.failure, run.spec));
    else this.#end(run, message);
  }

  #end(run: LiveRun, { ending }: Extract<FromKeeper, { t: 'ended' }>): void {
    const { log } = this.#options;
    const { id, logPath } = run.spec;
    if (ending.logError) {
      this.#disk.failed(ending.logError);
      log.debug(`run ${id}: ${ending.lost} bytes of output could not be written to ${logPath} (${ending.logError})`);
    } else if (ending.tail !== '') this.#disk.fine(); // a run that printed nothing has tried nothing
    if (run.spec.tellsOutput && ending.bytes > 0) this.onOutput?.([[id, ending.bytes]]);
    if (ending.survivors) log.warn(`run ${id}: a process of it could not be ended and may still run`);
    run.settle(outcomeOfEnding(ending, run.spec));
  }

  /** The proof is there: whatever the keeper still had is ended. What was not sent to it goes to the next one. */
  #afterLink(farewell: Farewell): void {
    this.#link = null;
    this.#setHelpers(null);
    const runs = [...this.#runs.values()];
    const sent = runs.filter((run) => run.sent);
    if (sent.length > 0)
      this.#options.log.error(`the keeper process ${farewell.reason}; ${sent.length} commands ended`);
    for (const run of sent) void run.lose(farewell);
    for (const run of runs) if (!run.sent) this.#send(run);
  }

  #setHelpers(helpers: HelperRecord | null): void {
    this.helpers = helpers;
    this.onHelpers?.(helpers);
  }

  #leaveLater(): void {
    clearTimeout(this.#idleTimer);
    this.#idleTimer = setTimeout(() => {
      if (this.#runs.size === 0) this.#link?.leave();
    }, this.#idleMs);
    this.#idleTimer.unref();
  }
}

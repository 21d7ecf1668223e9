/** IssueWorker: the worker as programs see it. What it is made of is put together in assemble.ts. */
import { randomUUID } from 'node:crypto';
import { closest } from 'fastest-levenshtein';
import { type Config, type FlagValues, loadConfig, SETTINGS } from '../config.js';
import { CapeError, messageOf } from '../core/errors.js';
import { oneLine } from '../core/text.js';
import { type Log, silent } from '../log.js';
import type { Handler } from './handler.js';
import { Observers, type WorkerObserver } from './observer.js';
import { runWorker } from './run-worker.js';
import { StateBoard, type StateObserver } from './state.js';
import { Stopping } from './stopping.js';
import { tracer } from './tracer.js';

export interface WorkerParts {
  readonly databaseUrl: string;
  /** Called for each issue in place of the command. */
  readonly handler?: Handler | undefined;
  /**
   * With a handler: the most issues that are claimed before a slot is free for them, 0 to 10,000; default 1,000. Only as many
   * as a second's work, so a slow handler has none of them. 0: strict slots, as commands have.
   */
  readonly claimAhead?: number | undefined;
  /** Default: says nothing. */
  readonly log?: Log | undefined;
  /** What the command's environment is made from, by an allow-list; its PATH is where a command is looked for. Default: empty. */
  readonly environment?: Readonly<Record<string, string | undefined>> | undefined;
  /** Told what the worker is doing, whenever that changes. */
  readonly onState?: StateObserver | undefined;
  /** Told what happens in the worker, as it happens: for counting it. */
  readonly observer?: WorkerObserver | undefined;
}

/**
 * Settings as on the command line (`timeout: '5m'`, or seconds as a number) or all of them as `loadConfig` returns them,
 * and what only a program can give.
 */
export type IssueWorkerOptions = WorkerParts &
  ((Omit<FlagValues, 'databaseUrl'> & { readonly workerId: string }) | { readonly config: Config });

/** Of 20,000 no-op issues 32.6 k/s; 500: 30.1, 2,000: 32.6. */
const CLAIM_AHEAD = 1000;
const MOST_AHEAD = 10_000;

function checkClaimAhead(value: number | undefined, handler: Handler | undefined): void {
  if (value === undefined) return;
  if (!handler) throw new CapeError('usage', `claimAhead: got ${value} without a handler; commands have strict slots`);
  if (!Number.isInteger(value) || value < 0 || value > MOST_AHEAD)
    throw new CapeError('usage', `claimAhead: got ${value}; must be a whole number from 0 to ${MOST_AHEAD}`);
}

const PARTS = [
  'databaseUrl',
  'handler',
  'claimAhead',
  'log',
  'environment',
  'onState',
  'observer',
] satisfies (keyof WorkerParts)[];

/** Whoever sets a token here would believe that something is served. Of `config`, which has them all, they are passed over. */
function isForServers(name: string): boolean {
  return Object.hasOwn(SETTINGS, name) && ['http', 'client'].includes(SETTINGS[name as keyof typeof SETTINGS].group);
}

/** A name with a typo in it would leave the default in force, without a word where no compiler looks. */
function checkNames(settings: object): void {
  const known = 'config' in settings ? ['config'] : Object.keys(SETTINGS).filter((name) => !isForServers(name));
  const unknown = Object.keys(settings).find((name) => !known.includes(name));
  if (unknown === undefined) return;
  const hint = isForServers(unknown)
    ? 'it serves no HTTP and asks none: `cape-worker run --http` and `serve` do'
    : unknown in SETTINGS
      ? 'config has it already'
      : `did you mean ${closest(unknown, [...PARTS, ...known])}?`;
  throw new CapeError('usage', `${oneLine(unknown)}: not taken by this IssueWorker; ${hint}`);
}

/** Claims issues of `cape_issues` and works on them until it is stopped. */
export class IssueWorker {
  readonly #config: Config;
  readonly #workerId: string;
  readonly #parts: WorkerParts;
  readonly #stopping: Stopping;
  readonly #board: StateBoard;
  #running = false;

  /** @throws CapeError for an option that is missing, unknown or not allowed */
  constructor(options: IssueWorkerOptions) {
    const {
      databaseUrl,
      handler,
      claimAhead,
      log = silent,
      environment = {},
      onState,
      observer,
      ...settings
    } = options;
    checkNames(settings);
    checkClaimAhead(claimAhead, handler);
    this.#config =
      'config' in settings ? settings.config : loadConfig({ flags: settings, env: {}, dotenv: false }).config;
    if (this.#config.workerId === undefined) {
      throw new CapeError(
        'usage',
        '--worker-id: missing; give this worker a name (or set CAPE_WORKER_ID), such as alleycat-1',
      );
    }
    this.#workerId = this.#config.workerId;
    this.#parts = { databaseUrl, handler, claimAhead, log, environment, observer };
    this.#board = new StateBoard(onState, (error) =>
      log.error(`the observer of the worker's state: ${messageOf(error)}`),
    );
    this.#stopping = new Stopping(this.#config.drainTimeout, log, (step) => this.#board.note(step));
  }

  /** A worker with the settings that `loadConfig` has read. */
  static fromConfig(config: Config, parts: WorkerParts): IssueWorker {
    return new IssueWorker({ config, ...parts });
  }

  /**
   * Stops: the first call claims nothing more and lets running issues finish (up to `drainTimeout`); the second ends them
   * now and gives them back uncharged; the third leaves at once.
   */
  stop(): void {
    this.#stopping.next();
  }

  /**
   * The second step of `stop` at once, where it has not been taken: ends running issues and gives them back uncharged.
   * @param why for the log
   */
  endNow(why: string): void {
    this.#stopping.endNow(why);
  }

  /**
   * Works until it is stopped, or, with `once` and `drain`, until that is done. A database that is away is waited for.
   * @throws CapeError where it can't start (no command, id taken, login refused) or loses its id to another process
   */
  async run(): Promise<void> {
    if (this.#running)
      throw new CapeError('refused', 'this worker runs already; make another one with an id of its own');
    this.#running = true;
    const { databaseUrl, handler, claimAhead = CLAIM_AHEAD, log = silent, environment = {}, observer } = this.#parts;
    const traced = await tracer();
    const watching = [observer, traced].flatMap((one) => (one ? [one] : []));
    await runWorker({
      config: this.#config,
      workerId: this.#workerId,
      instance: randomUUID(),
      databaseUrl,
      handler,
      claimAhead: handler ? claimAhead : 0,
      log,
      environment,
      stopping: this.#stopping,
      board: this.#board,
      observers: new Observers(watching, (error) => log.error(`an observer of the worker: ${messageOf(error)}`)),
    });
  }
}

/**
 * Puts a worker together and takes it apart: connections, executor, the three loops (queue, leases, upkeep) and the
 * listener, started and stopped in the order that loses nothing.
 */
import { chmodSync, mkdirSync } from 'node:fs';
import { hostname } from 'node:os';
import { resolve } from 'node:path';
import { type Config, LEASE_MARGIN_MS, renewalInterval } from '../config.js';
import { CapeError, messageOf } from '../core/errors.js';
import { connect, type Database } from '../db/connect.js';
import { listen } from '../db/listen.js';
import { programVersion } from '../db/migration-files.js';
import { type ResolvedCommand, resolveCommand } from '../execution/command.js';
import { createExecutor } from '../execution/keeper-client.js';
import type { Executor } from '../execution/spec.js';
import type { Log } from '../log.js';
import { databaseId } from '../queue/identity.js';
import { deregister } from '../queue/workers.js';
import { Attempts, type Starter } from './attempts.js';
import { ClaimLoop } from './claim-loop.js';
import { Gate } from './gate.js';
import type { Handler } from './handler.js';
import { HelperNote } from './helper-note.js';
import { machineIdentity } from './identity.js';
import { LeaseKeeper } from './lease-keeper.js';
import { Neighbours } from './neighbours.js';
import { Outage } from './outage.js';
import { stateDirOf } from './plan.js';
import { Rescuer } from './rescuer.js';
import { Settler } from './settler.js';
import { prepareSchema, registerWorker, waitForDatabase } from './start-up.js';
import { commandStarter, handlerStarter } from './starter.js';
import type { Stopping } from './stopping.js';
import { UnclearClaims } from './unclear-claims.js';
import { Upkeep } from './upkeep.js';
import { WaitingMark } from './waiting-mark.js';
import { Bell } from './wake.js';

export interface CrewOptions {
  readonly config: Config;
  readonly workerId: string;
  /** This process's own token. */
  readonly instance: string;
  readonly databaseUrl: string;
  readonly handler: Handler | undefined;
  readonly log: Log;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly stopping: Stopping;
}

/** Claims and settles on one connection, renews on another: a renewal never waits behind a claim. */
interface Connections {
  readonly queue: Database;
  readonly leases: Database;
}

interface Tools {
  readonly command: ResolvedCommand | null;
  readonly executor: Executor | null;
  /** Absolute. */
  readonly workingDir: string;
  /** Absolute. */
  readonly logDir: string;
}

/** An issue that could not be started through no fault of its own is tried again after so long. */
const UNRUNNABLE_MS = 10_000;
/** Longest wait for an answer to a renewal. */
const LEASE_DEADLINE_MS = 10_000;
/** How long a stopping worker tries to write back what has ended where the database is away. */
const LAST_WORDS_MS = 10_000;

/** Runs a worker from start to end. */
export async function runCrew(options: CrewOptions): Promise<void> {
  const { config, databaseUrl: url, workerId, log, stopping } = options;
  const tools = prepareTools(options);
  const shared = { url, schema: config.schema, applicationName: `cape-worker ${workerId}`, planner: true };
  // A renewal that hangs on a dead connection must be given up in time for another one within the lease.
  const deadlineMs = Math.min(LEASE_DEADLINE_MS, renewalInterval(config.lease));
  const connections = { queue: connect(shared), leases: connect({ ...shared, deadlineMs }) };
  try {
    await waitForDatabase(connections.queue, log, stopping.asked);
    if (stopping.asked.aborted) return;
    await prepareSchema(connections.queue, url, config, log);
    await work(options, tools, connections);
  } finally {
    await tools.executor?.close();
    await Promise.all([connections.queue.close(), connections.leases.close()]);
  }
}

/** What can be wrong without a database is found before one is waited for. */
function prepareTools({ config, workerId, handler, log, environment }: CrewOptions): Tools {
  const workingDir = resolve(config.workingDir);
  const logDir = resolve(config.logDir);
  if (handler) return { command: null, executor: null, workingDir, logDir };
  const command = resolveCommand({
    command: config.command,
    path: environment.PATH ?? '/usr/local/bin:/usr/bin:/bin',
    cwd: workingDir,
  });
  const stateDir = stateDirOf(logDir, workerId);
  try {
    mkdirSync(stateDir, { recursive: true, mode: 0o700 });
    chmodSync(stateDir, 0o700);
  } catch (error) {
    throw new CapeError('config', `--log-dir: got "${config.logDir}"; can't write there: ${messageOf(error)}`);
  }
  return { command, executor: createExecutor({ stateDir, graceMs: config.grace, log }), workingDir, logDir };
}

async function work(options: CrewOptions, tools: Tools, connections: Connections): Promise<void> {
  const { config, workerId, instance, log, stopping } = options;
  const machine = config.machineId ?? machineIdentity();
  const identity = { workerId, instance, machine, version: programVersion(), logDir: tools.logDir };
  const previous = await registerWorker(connections.leases, identity, config);
  const crew = await assemble(options, tools, connections, machine);
  if (previous) crew.neighbours.remember(previous);
  log.info(`worker ${workerId} is ready (${config.concurrency} at a time, ${tools.command?.label ?? 'handler'})`);
  const listener = listen(
    { url: options.databaseUrl, applicationName: `cape-worker ${workerId} listen` },
    'cape_issues',
    {
      notify: (payload) => crew.notified(payload),
      listening: () => crew.notified(''),
    },
  );
  stopping.attach(crew);
  try {
    await crew.run();
  } finally {
    stopping.detach();
    await listener.close();
    await tools.executor?.close();
    // Best effort: the row's heartbeat grows old by itself.
    await deregister(connections.leases, instance).catch((error) => log.debug(`not deregistered: ${messageOf(error)}`));
  }
  log.info(`worker ${workerId} has stopped`);
}

async function assemble(
  options: CrewOptions,
  tools: Tools,
  connections: Connections,
  machine: string | null,
): Promise<Crew> {
  const { config, workerId, instance, log } = options;
  const { queue, leases } = connections;
  const outage = new Outage(log);
  const bell = new Bell();
  const gate = new Gate(log);
  const intervalMs = renewalInterval(config.lease);
  const trustMs = config.lease - config.grace - LEASE_MARGIN_MS;
  const policy = {
    maxAttempts: config.maxAttempts,
    baseMs: config.retryBase,
    capMs: config.retryCap,
    unrunnableMs: UNRUNNABLE_MS,
  };
  const starter = makeStarter(options, tools, await databaseId(queue));
  const attempts = new Attempts({
    starter,
    policy,
    host: hostname(),
    log,
    onEnded: (outcome) => {
      if (outcome.kind === 'unrunnable') gate.failed(outcome.error ?? 'unknown');
      else gate.opened();
      bell.ring();
    },
  });
  const mark = new WaitingMark(queue, instance);
  const loop = new ClaimLoop({
    ...{ db: queue, attempts, mark, gate, outage, bell, workerId, instance, trustMs },
    settler: new Settler(queue, attempts, log, (ms) => upkeep.promoteIn(ms)),
    unclear: new UnclearClaims(queue, attempts, log),
    concurrency: config.concurrency,
    leaseMs: config.lease,
    pollMs: config.pollInterval,
    once: config.once,
    drain: config.drain,
  });
  const helpers = tools.executor ? new HelperNote(leases, instance, tools.executor) : null;
  const crew: { taken: boolean } = { taken: false };
  const keeper = new LeaseKeeper({
    ...{ db: leases, attempts, mark, outage, instance, intervalMs, trustMs, leaseMs: config.lease },
    confirm: (deadlines) => tools.executor?.confirm(deadlines),
    onRenewed: () => helpers?.write(),
    onTaken: () => {
      crew.taken = true;
      loop.abandon();
    },
  });
  const neighbours = new Neighbours(leases, machine, instance, log);
  const upkeep = new Upkeep({
    ...{ db: leases, neighbours, outage, log, intervalMs, logDir: tools.logDir, issueLogDays: config.issueLogDays },
    rescuer: new Rescuer(leases, intervalMs + config.grace + LEASE_MARGIN_MS, log),
    onPromoted: () => loop.look(),
  });
  const disconnect = () => void Promise.all([queue.close(), leases.close()]);
  return new Crew({
    workerId,
    attempts,
    loop,
    keeper,
    upkeep,
    neighbours,
    trustMs,
    wasTaken: () => crew.taken,
    disconnect,
  });
}

function makeStarter(
  { config, workerId, handler, log, environment }: CrewOptions,
  tools: Tools,
  database: string,
): Starter {
  const { executor, command, workingDir, logDir } = tools;
  if (handler) return handlerStarter(handler, config, database, log);
  if (!executor || !command) throw new Error('a worker needs a command or a handler');
  return commandStarter({ executor, config, workerId, command, environment, workingDir, logDir, databaseId: database });
}

interface CrewParts {
  readonly workerId: string;
  readonly attempts: Attempts;
  readonly loop: ClaimLoop;
  readonly keeper: LeaseKeeper;
  readonly upkeep: Upkeep;
  readonly neighbours: Neighbours;
  /** How long after its last renewal a lease counts as ours, milliseconds. */
  readonly trustMs: number;
  readonly wasTaken: () => boolean;
  readonly disconnect: () => void;
}

/** The three loops that make a worker. */
class Crew {
  readonly #parts: CrewParts;
  #patience: NodeJS.Timeout | undefined;

  constructor(parts: CrewParts) {
    this.#parts = parts;
  }

  get neighbours(): Neighbours {
    return this.#parts.neighbours;
  }

  /** Something was said on the channel: rows to look at, or a cancel that a renewal will tell. */
  notified(payload: string): void {
    const { loop, keeper, upkeep } = this.#parts;
    if (payload === 'cancel') keeper.hurry();
    else {
      loop.look();
      upkeep.promoteIn();
    }
  }

  drain(): void {
    this.#parts.loop.stop();
    // An hour's result is worth waiting for as long as it can still be written.
    void this.#giveUpLater(() => (this.#parts.attempts.idle ? LAST_WORDS_MS : this.#parts.trustMs));
  }

  giveBack(): void {
    this.#parts.attempts.endAll('interrupted');
    this.#parts.loop.stop();
    void this.#giveUpLater(() => LAST_WORDS_MS);
  }

  leave(): void {
    this.#parts.attempts.killAll();
    this.#abandon();
  }

  /** What has ended is written back while the database answers; else its leases run out and others go on. */
  async #giveUpLater(patience: () => number): Promise<void> {
    await this.#parts.attempts.allEnded();
    clearTimeout(this.#patience);
    this.#patience = setTimeout(() => this.#abandon(), patience());
  }

  /** A query on a dead connection would hold everything up until its deadline. */
  #abandon(): void {
    this.#parts.loop.abandon();
    this.#parts.disconnect();
  }

  /** Resolves when the loop is done and everything stands still. */
  async run(): Promise<void> {
    const { loop, keeper, upkeep, attempts, workerId } = this.#parts;
    const beside = [keeper.run(), upkeep.run()];
    // A bug in one of them ends the worker: going on without renewals would be worse.
    const failed = Promise.all(beside).then(() => new Promise<never>(() => {}));
    failed.catch(() => {});
    try {
      await Promise.race([loop.run(), failed]);
    } finally {
      clearTimeout(this.#patience);
      attempts.endAll('interrupted');
      await attempts.allEnded();
      keeper.stop();
      upkeep.stop();
      await Promise.allSettled(beside);
    }
    if (this.#parts.wasTaken()) {
      throw new CapeError(
        'taken',
        `--worker-id: "${workerId}" was taken by another process while this one was out of reach`,
      );
    }
  }
}

/** Puts the parts of a worker together. */
import { hostname } from 'node:os';
import { type Config, LEASE_MARGIN_MS, renewalInterval } from '../config.js';
import type { OutcomeKind } from '../core/outcome.js';
import type { Database } from '../db/connect.js';
import { monotonic } from '../execution/clock.js';
import type { ResolvedCommand } from '../execution/command.js';
import type { Executor } from '../execution/spec.js';
import type { Log } from '../log.js';
import type { WorkerRow } from '../queue/workers.js';
import { Attempts } from './attempts.js';
import { ClaimLoop } from './claim-loop.js';
import { ClaimPace } from './claim-pace.js';
import { Crew } from './crew.js';
import { Exchange } from './exchange.js';
import { Gate } from './gate.js';
import type { Handler, Tell } from './handler.js';
import { HelperNote } from './helper-note.js';
import { KeptVerdicts } from './kept-verdicts.js';
import { LeaseKeeper } from './lease-keeper.js';
import { LoopWatch, type WatchedLoop } from './loop-watch.js';
import { Neighbours } from './neighbours.js';
import type { Observers } from './observer.js';
import type { Outage } from './outage.js';
import { OutputRelay } from './output-relay.js';
import { timeoutOf } from './plan.js';
import { Rescuer } from './rescuer.js';
import { SettleLoop } from './settle-loop.js';
import { Settler } from './settler.js';
import { StartRecovery } from './start-recovery.js';
import { commandStarter, handlerStarter, type Starter } from './starter.js';
import type { RunningIssue, StateBoard } from './state.js';
import type { Stopping } from './stopping.js';
import { Suspects } from './suspects.js';
import { Unclaimable } from './unclaimable.js';
import { UnclearClaims } from './unclear-claims.js';
import { Upkeep } from './upkeep.js';
import { VerdictDelivery } from './verdict-delivery.js';
import { verdictDirOf } from './verdict-file.js';
import { WaitingMark } from './waiting-mark.js';
import { Bell } from './wake.js';

export interface WorkerOptions {
  readonly config: Config;
  readonly workerId: string;
  /** This process's own token. */
  readonly instance: string;
  readonly databaseUrl: string;
  readonly handler: Handler | undefined;
  /** Issues that may be claimed before a slot is free, 0 with a command. */
  readonly claimAhead: number;
  readonly log: Log;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly stopping: Stopping;
  readonly board: StateBoard;
  readonly observers: Observers;
}

/** Claims and settles on one connection, renews on another: a renewal never waits behind a claim. */
export interface Connections {
  readonly queue: Database;
  /** For settling what handlers have left, or for the output of commands; opened when there is any. */
  readonly beside: Database;
  readonly leases: Database;
}

export interface Tools {
  readonly command: ResolvedCommand | null;
  readonly executor: Executor | null;
  /** Absolute. */
  readonly workingDir: string;
  /** Absolute. */
  readonly logDir: string;
}

/** What a worker knows once it is registered. */
export interface Base {
  readonly machine: string | null;
  readonly databaseId: string;
  /** The process that had this worker id before. */
  readonly previous: WorkerRow | null;
  /** The ending of what that process left running. */
  readonly trees: Promise<void>;
}

/** An issue that could not be started through no fault of its own is tried again after so long. */
const UNRUNNABLE_MS = 10_000;
/** What we ended ourselves may have been ended before it began. */
const BY_US: ReadonlySet<OutcomeKind> = new Set(['interrupted', 'cancelled', 'lost']);

/** Makes the parts of a worker and tells each of the others that it needs. Nothing runs yet. */
export function assemble(
  options: WorkerOptions,
  tools: Tools,
  connections: Connections,
  base: Base,
  outage: Outage,
): Crew {
  const { config, workerId, instance, log, board, claimAhead, observers } = options;
  const { queue, beside, leases } = connections;
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
  const pace = new ClaimPace(config.concurrency, config.once ? 0 : claimAhead, options.handler ? new Suspects() : null);
  const relay = new OutputRelay({ db: beside, log, limit: config.outputEvents });
  if (tools.executor) tools.executor.onOutput = (grown) => relay.grown(grown);
  const tell: Tell = (claim, event) => relay.tell(claim, event);
  const starter = observers.over(makeStarter(options, tools, base.databaseId, tell));
  const attempts = new Attempts({
    starter,
    policy,
    host: hostname(),
    log,
    slots: config.concurrency,
    relay,
    onEnded: (outcome, ranMs, claim) => {
      observers.tell('ended', claim, outcome, ranMs);
      kept?.watch();
      if (ranMs !== null) pace.ended(ranMs);
      if (outcome.kind === 'unrunnable') gate.failed(outcome.error ?? 'unknown');
      else if (!BY_US.has(outcome.kind)) gate.opened();
      bell.ring();
      settling?.ring();
    },
    onRunning: () => {
      keeper.guard();
      board.touch();
    },
  });
  board.watch(() => ({ running: runningOf(attempts, config), unwritten: attempts.unsettled().map(({ id }) => id) }));
  const origin = { database: base.databaseId, schema: config.schema };
  const dir = tools.executor ? verdictDirOf(tools.logDir, workerId) : null;
  const kept = dir
    ? new KeptVerdicts({ dir, origin, workerId, instance, unsettled: () => attempts.unsettled(), log })
    : null;
  const mark = new WaitingMark(queue, instance);
  const settler = new Settler(
    options.handler ? beside : queue,
    attempts,
    log,
    (ms) => upkeep.promoteIn(ms),
    (settlement, isLost) => {
      observers.tell('settled', settlement, isLost);
      if (!isLost) pace.written();
      const { verdict } = settlement;
      if (isLost) board.touch();
      else if (verdict.action === 'finish' && verdict.status === 'completed') board.completedOne();
      else board.touch();
    },
    (settlements) => relay.beforeSettling(settlements),
  );
  const unclear = new UnclearClaims(queue, attempts, log);
  const settling = options.handler
    ? new SettleLoop({ db: beside, settler, outage, onSettled: () => bell.ring() })
    : null;
  const loop = new ClaimLoop({
    ...{ db: queue, attempts, settler, unclear, pace, mark, gate, outage, bell, workerId, instance, trustMs },
    settles: settling === null,
    exchange: new Exchange({ db: queue, settler: settling ? null : settler, unclear }),
    unclaimable: new Unclaimable(queue, log),
    onClaimed: (sentAt, claims) => {
      settling?.prepare();
      observers.tell('claimed', claims, monotonic() - sentAt.mono);
      keeper.claimed(sentAt);
    },
    leaseMs: config.lease,
    pollMs: config.pollInterval,
    once: config.once,
    drain: config.drain,
    lookRound: () => recovery.lookRound(),
  });
  const helpers = tools.executor ? new HelperNote(leases, instance, tools.executor) : null;
  let taken = false;
  let wasStuck = false;
  const keeper = new LeaseKeeper({
    ...{
      db: leases,
      attempts,
      mark,
      outage,
      instance,
      intervalMs,
      trustMs,
      leaseMs: config.lease,
      graceMs: config.grace,
    },
    confirm: (deadlines) => tools.executor?.confirm(deadlines),
    onRenewed: () => helpers?.write(),
    onPaused: (paused) => board.note({ paused }),
    onTaken: () => {
      if (taken) return;
      taken = true;
      crew.giveBack();
    },
  });
  const delivery = new VerdictDelivery(leases, origin, log, (ms) => upkeep.promoteIn(ms));
  const onRescued = (issues: number) => observers.tell('rescued', issues);
  const neighbours = new Neighbours(leases, base.machine, instance, delivery, log, onRescued);
  const recovery = new StartRecovery({
    ...{ delivery, dir, instance, neighbours, outage, previous: base.previous, trees: base.trees },
    onRemembered: () => upkeep.hurry(),
  });
  const upkeep = new Upkeep({
    ...{ db: leases, neighbours, outage, log, intervalMs, logDir: tools.logDir, issueLogDays: config.issueLogDays },
    historyDays: config.historyDays,
    rescuer: new Rescuer(leases, intervalMs + config.grace + LEASE_MARGIN_MS, log, onRescued),
    onPromoted: () => loop.look(),
  });
  const watch = new LoopWatch(watchedLoops(loop, keeper, attempts, config), (stuck) => {
    if (stuck !== null && !wasStuck) log.error(`${stuck} has stood still for minutes, which is a bug; a restart helps`);
    wasStuck = stuck !== null;
    board.note({ stuck });
  });
  const disconnect = () => void Promise.all([queue.close(), beside.close(), leases.close()]);
  const crew = new Crew({
    workerId,
    attempts,
    loop,
    settling,
    keeper,
    upkeep,
    watch,
    recovery,
    kept,
    trustMs,
    wasTaken: () => taken,
    onLastWords: (ms) => board.note({ leavesBy: new Date(Date.now() + ms) }),
    disconnect,
  });
  return crew;
}

function watchedLoops(loop: ClaimLoop, keeper: LeaseKeeper, attempts: Attempts, config: Config): WatchedLoop[] {
  return [
    {
      name: 'the claim loop',
      turns: () => loop.turns,
      restMs: 2 * config.pollInterval,
      // Writing back hundreds of refused rows one by one takes its time, and so does the last look round of a drain.
      excused: () => !attempts.idle || config.drain,
    },
    // By then every lease has run out, and with it every run has been ended: nothing is lost by a restart.
    { name: 'the renewal of leases', turns: () => keeper.turns, restMs: config.lease },
  ];
}

function runningOf(attempts: Attempts, config: Config): RunningIssue[] {
  return [...attempts.active].map(({ claim, since }) => ({
    id: claim.issue.id,
    attempt: claim.attempt,
    since,
    until: new Date(since.getTime() + timeoutOf(claim, config)),
  }));
}

function makeStarter(
  { config, workerId, handler, log, environment, observers }: WorkerOptions,
  tools: Tools,
  database: string,
  tell: Tell,
): Starter {
  const { executor, command, workingDir, logDir } = tools;
  if (handler) return handlerStarter(handler, config, database, log, tell);
  if (!executor || !command) throw new Error('a worker needs a command or a handler');
  return commandStarter({
    executor,
    config,
    workerId,
    log,
    command,
    environment,
    variables: () => observers.variables(),
    workingDir,
    logDir,
    databaseId: database,
  });
}

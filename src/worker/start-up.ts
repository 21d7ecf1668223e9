/** From nothing to a registered worker: the database is there, its tables fit this program, and the id is ours. */
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import type { Config } from '../config.js';
import { CapeError } from '../core/errors.js';
import type { Database } from '../db/connect.js';
import { type FailureKind, failureOf } from '../db/failure.js';
import { migrate, migrationStatus } from '../db/migrate.js';
import { identify, isAlive } from '../execution/processes.js';
import type { Log } from '../log.js';
import { type Registration, register, type WorkerRow } from '../queue/workers.js';
import { describe } from './describe.js';
import { type Outage, pauseBeforeTry, SCOUT_PAUSE_MS } from './outage.js';
import { pause } from './wake.js';

/** What passes by itself, sooner or later: away or starting, a standby about to be promoted, a lock. */
const PASSING: readonly FailureKind[] = ['unreachable', 'readonly', 'transient'];

/** What is under way when the word to stop comes, be it a migration, gets so long to come to its end. */
const LAST_STEPS_MS = 2000;

/**
 * Does the first work with a database, and again from its beginning for as long as the database is away.
 * @param work is given a signal: it is waited for no longer
 * @returns null where `stop` came first
 * @throws CapeError `database` where waiting makes no sense: a refused login, a missing right, a server too old
 */
export async function onceReachable<T>(
  work: (signal: AbortSignal) => Promise<T>,
  outage: Outage,
  stop: AbortSignal,
): Promise<T | null> {
  for (let tries = 0; !stop.aborted; tries++) {
    try {
      const done = await orGivenUp(work, stop);
      if (done === null) return null;
      outage.over('start');
      return done;
    } catch (error) {
      const failure = failureOf(error instanceof CapeError ? error.cause : error);
      if (!PASSING.includes(failure.kind)) {
        if (error instanceof CapeError || failure.code === null) throw error;
        throw new CapeError('database', describe(failure), { cause: error });
      }
      outage.failed('start', failure);
      await pause(pauseBeforeTry(tries, Math.random(), SCOUT_PAUSE_MS), stop);
    }
  }
  return null;
}

/** The work's result; null where it has not come some time after the word to stop. */
async function orGivenUp<T>(work: (signal: AbortSignal) => Promise<T>, stop: AbortSignal): Promise<T | null> {
  const over = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const givenUp = new Promise<null>((done) => over.signal.addEventListener('abort', () => done(null)));
  const last = () => {
    timer = setTimeout(() => over.abort(), LAST_STEPS_MS);
  };
  stop.addEventListener('abort', last);
  const working = work(over.signal);
  working.catch(() => {}); // given up, it may fail later
  try {
    return await Promise.race([working, givenUp]);
  } finally {
    stop.removeEventListener('abort', last);
    clearTimeout(timer);
  }
}

/**
 * Brings the schema up to date, or, where that is not wanted or not allowed, sees that it fits.
 * @param onPending called where there is something to apply
 * @throws CapeError `database` where the tables are missing or do not fit this program
 */
export async function prepareSchema(
  db: Database,
  url: string,
  config: Config,
  log: Log,
  signal: AbortSignal,
  onPending?: () => void,
): Promise<void> {
  if (config.migrate) {
    if (await isUpToDate(db)) return;
    try {
      await migrate({ url, schema: config.schema, log: (line) => log.info(line), signal, onPending });
      return;
    } catch (error) {
      if (failureOf((error as { cause?: unknown }).cause).kind !== 'permission') throw error;
      log.info('this database role may not change the schema; checking its version only');
    }
  }
  const status = await migrationStatus(db);
  if (status.tooNew !== null) {
    throw new CapeError('database', `the schema ${config.schema} needs cape-worker ${status.tooNew} or newer`);
  }
  if (status.pending.length > 0) {
    throw new CapeError(
      'database',
      `the schema ${config.schema} lacks ${status.pending.join(', ')}; run "cape-worker migrate" with a role that may change it`,
    );
  }
}

/** Nearly always, and then a migration's own connection is spared. What can't be found out here, `migrate` tells in full. */
async function isUpToDate(db: Database): Promise<boolean> {
  try {
    const { pending, changed, tooNew } = await migrationStatus(db);
    return pending.length + changed.length === 0 && tooNew === null;
  } catch (error) {
    if (PASSING.includes(failureOf(error).kind)) throw error;
    return false;
  }
}

export interface Identity {
  readonly workerId: string;
  readonly instance: string;
  readonly machine: string | null;
  readonly version: string;
  /** Null for a worker that runs handlers: they write no files. */
  readonly logDir: string | null;
}

/**
 * Makes the id ours. An id that another live process has is refused; a holder on this machine whose process is gone
 * gives way at once, any other when its sign of life has grown old.
 * @returns the row of the holder before, whose issues may still have to be taken over
 * @throws CapeError `taken` naming the holder
 */
export async function registerWorker(db: Database, identity: Identity, config: Config): Promise<WorkerRow | null> {
  const row: Registration = {
    id: identity.workerId,
    instance: identity.instance,
    host: hostname(),
    // An identity that nobody shares: no pid is ever looked up by it.
    machine: identity.machine ?? `unknown ${randomUUID()}`,
    pid: process.pid,
    pidStart: identify(process.pid)?.start ?? 'unknown',
    version: identity.version,
    slots: config.concurrency,
    logDir: identity.logDir,
  };
  let answer = await register(db, row);
  if (answer.state === 'taken' && isGone(answer.holder, identity.machine)) {
    answer = await register(db, row, answer.holder.instance);
  }
  // Our own row is there before us where the answer to a first try was lost.
  if (answer.state === 'registered') return answer.previous?.instance === row.instance ? null : answer.previous;
  const { host, pid, started_at } = answer.holder;
  throw new CapeError(
    'taken',
    `--worker-id: got "${identity.workerId}", which a live worker has (pid ${pid} on ${host}, since ` +
      `${started_at.toISOString()}); stop that one or choose another id`,
  );
}

function isGone(holder: WorkerRow, machine: string | null): boolean {
  return holder.machine === machine && !isAlive({ pid: holder.pid, start: holder.pid_start });
}

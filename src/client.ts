/** What people and programs do to issues: the CLI's issue commands and every other surface call only this. */
import { setTimeout as sleep } from 'node:timers/promises';
import { CapeError } from './core/errors.js';
import { type Attempt, type Issue, isFinal, workerIdSchema } from './core/issue.js';
import { connect, type Queryable } from './db/connect.js';
import { explainFailure } from './db/explain.js';
import { failureOf } from './db/failure.js';
import { whyMissing } from './db/schema.js';
import { type Change, change } from './queue/change.js';
import { enqueue } from './queue/enqueue.js';
import { type ListedIssue, type ListFilter, list, type Page, type PageFilter, page } from './queue/list.js';
import { checkNewIssue, type NewIssue } from './queue/new-issue.js';
import { assign, type Cancelled, cancel, noSuchIssue, type Retried, remove, retry } from './queue/operate.js';
import { type Pauses, pause, pauses, resume } from './queue/pause.js';
import { pruneHistory } from './queue/prune.js';
import { attempts, get } from './queue/read.js';
import { type Stats, stats } from './queue/stats.js';
import { type History, history } from './queue/throughput.js';
import { listWorkers, type WorkerRow } from './queue/workers.js';

export type {
  Cancelled,
  Change,
  History,
  ListedIssue,
  ListFilter,
  NewIssue,
  Page,
  PageFilter,
  Pauses,
  Retried,
  Stats,
  WorkerRow,
};

export interface ClientOptions {
  /** `postgres://user:password@host:port/database`. */
  readonly databaseUrl: string;
  /** Where the tables are, default `public`. */
  readonly schema?: string;
  /** Shown by `pg_stat_activity`, default `cape-client`. */
  readonly applicationName?: string;
  /** Connections at most, default 1: what several ask for at the same time is then answered one after the other. */
  readonly connections?: number;
}

export interface WaitOptions {
  /** Ends the waiting; `wait` then rejects with its reason. */
  readonly signal?: AbortSignal;
  /** Told once when the database goes away while waiting, which goes on. */
  readonly onTrouble?: (message: string) => void;
}

/**
 * Every method rejects with a CapeError: `refused` where it can't be done (no such issue, it is running), `usage` for bad
 * values, `database` where the database is out of reach, `config` where it is not migrated.
 */
export interface CapeClient {
  /** Queues an issue. @returns its id, or that of the unfinished issue which has its key */
  add(issue: NewIssue): Promise<number>;
  /** Queues issues in one statement: all or none. @returns ids in the same order */
  addMany(issues: readonly NewIssue[]): Promise<number[]>;
  /** One issue, with the names of its columns. */
  get(id: number): Promise<Issue>;
  /** Newest first, 50 unless the filter's `limit` says otherwise. */
  list(filter?: ListFilter): Promise<Issue[]>;
  /** The same a page at a time, in milliseconds each: where no index serves the filter a page may be short and says so. */
  page(filter?: PageFilter): Promise<Page>;
  /** Oldest first; a running one is the last and has no `ended_at`. */
  attempts(id: number): Promise<Attempt[]>;
  /** Runs an ended issue again with fresh counts, or a parked one now. */
  retry(id: number): Promise<Retried>;
  /** Cancels a pending issue at once; a running one is ended by its worker, within a second. */
  cancel(id: number): Promise<Cancelled>;
  /** Directs a pending issue to a worker; null lets any take it. */
  assign(id: number, worker: string | null): Promise<void>;
  /** Changes a pending issue; what is absent stays. @returns it as it is then */
  change(id: number, change: Change): Promise<Issue>;
  /** Deletes an issue that is not running, and its attempts. */
  delete(id: number): Promise<void>;
  /** Every worker that was ever seen, by id; `stopped_at` and `silent_ms` say how it is. */
  workers(): Promise<WorkerRow[]>;
  /**
   * Counts by status, what ended in the last hour, and what waits for workers that are not there. In milliseconds: of
   * many rows some numbers are estimates, and `estimated` names them.
   */
  stats(): Promise<Stats>;
  /** What ended in each minute (or longer, past an hour) of the last so many minutes: 1 to 10,080, default 60. */
  history(minutes?: number): Promise<History>;
  /** Stops claiming, for one worker or for all; running issues go on. Remembered for workers not started yet. */
  pause(worker?: string): Promise<void>;
  /** Ends the pause of one worker, or every pause. While all are paused, resuming one of them changes nothing. */
  resume(worker?: string): Promise<void>;
  /** Who is paused now. */
  pauses(): Promise<Pauses>;
  /** Deletes events and attempts from more than so many days ago, in small batches; issues stay. @returns how many */
  prune(days: number): Promise<{ readonly events: number; readonly attempts: number }>;
  /** Waits until an issue is completed, failed or cancelled. @returns it as it ended */
  wait(id: number, options?: WaitOptions): Promise<Issue>;
  /** Closes the connections; later calls reject. */
  close(): Promise<void>;
}

/**
 * Opens a client. Nothing is connected before the first call.
 * @throws CapeError `config` for a malformed URL or schema name
 */
export function createClient(options: ClientOptions): CapeClient {
  const schema = options.schema ?? 'public';
  const applicationName = options.applicationName ?? 'cape-client';
  const db = connect({ url: options.databaseUrl, schema, applicationName, connections: options.connections ?? 1 });
  const asked = <T>(work: Promise<T>): Promise<T> =>
    work.catch(async (error) => {
      throw explainFailure(await whyMissing(db, error), options.databaseUrl, schema);
    });
  const found = async (id: number): Promise<Issue> => {
    const issue = await get(db, checkId(id));
    if (!issue) throw noSuchIssue(id);
    return issue;
  };
  return {
    add: async (issue) => (await asked(enqueue(db, [checkNewIssue(issue)])))[0] as number,
    addMany: async (issues) =>
      asked(
        enqueue(
          db,
          issues.map((issue) => checkNewIssue(issue)),
        ),
      ),
    get: (id) => asked(found(id)),
    list: (filter) => asked(list(db, filter)),
    page: (filter) => asked(page(db, filter)),
    attempts: async (id) => asked(attempts(db, checkId(id))),
    retry: async (id) => asked(retry(db, checkId(id))),
    cancel: async (id) => asked(cancel(db, checkId(id))),
    assign: async (id, worker) => asked(assign(db, checkId(id), worker === null ? null : checkWorker(worker))),
    change: async (id, what) => {
      await asked(change(db, checkId(id), what));
      return asked(found(id));
    },
    delete: async (id) => asked(remove(db, checkId(id))),
    workers: () => asked(listWorkers(db)),
    stats: () => asked(stats(db)),
    history: async (minutes) => asked(history(db, minutes)),
    pause: async (worker) => asked(pause(db, worker === undefined ? null : checkWorker(worker))),
    resume: async (worker) => asked(resume(db, worker === undefined ? null : checkWorker(worker))),
    pauses: () => asked(pauses(db)),
    prune: (days) => asked(pruneAll(db, days)),
    wait: (id, waiting = {}) => asked(waitFor(() => found(id), waiting)),
    close: () => db.close(),
  };
}

async function pruneAll(db: Queryable, days: number): Promise<{ events: number; attempts: number }> {
  const all = { events: 0, attempts: 0 };
  let next: string | null = null;
  do {
    const step = await pruneHistory(db, days, next);
    all.events += step.events;
    all.attempts += step.attempts;
    next = step.next;
  } while (next !== null);
  return all;
}

/** Reading one row by its key is cheap; a notification at every end would cost each settle a lock on the whole server. */
const FIRST_LOOK_MS = 50;
const SLOWEST_LOOK_MS = 1000;

async function waitFor(look: () => Promise<Issue>, options: WaitOptions): Promise<Issue> {
  let pauseMs = FIRST_LOOK_MS;
  let told = false;
  for (;;) {
    options.signal?.throwIfAborted();
    const issue = await look().catch((error) => {
      const { kind, message } = failureOf(error);
      if (kind !== 'unreachable' && kind !== 'transient') throw error;
      if (!told) options.onTrouble?.(message);
      told = true;
      return undefined;
    });
    if (issue) told = false;
    if (issue && isFinal(issue.status)) return issue;
    // Its own error says only that it was aborted: the next round throws the signal's reason.
    await sleep(pauseMs, undefined, options.signal ? { signal: options.signal } : {}).catch(() => {});
    pauseMs = Math.min(pauseMs * 1.5, SLOWEST_LOOK_MS);
  }
}

function checkId(id: number): number {
  if (Number.isInteger(id) && id >= 1 && id <= 2_147_483_647) return id;
  throw new CapeError('usage', `issue: got "${id}"; must be an id, a whole number from 1 to 2147483647`);
}

function checkWorker(worker: string): string {
  const parsed = workerIdSchema.safeParse(worker);
  if (parsed.success) return parsed.data;
  throw new CapeError('usage', `worker: got "${String(worker)}"; ${parsed.error.issues[0]?.message}`);
}

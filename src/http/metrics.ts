/** `/metrics`: what Prometheus reads of this process, of the queue, and of the worker in it where there is one. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { CapeClient, Stats, WorkerRow } from '../client.js';
import { STATUSES } from '../core/issue.js';
import { OUTCOMES } from '../core/outcome.js';
import { STALE_SECONDS } from '../queue/workers.js';
import type { WorkerObserver } from '../worker/observer.js';
import { isoTime } from '../worker/plan.js';

export interface MetricsSource {
  readonly client: Pick<CapeClient, 'stats' | 'workers'>;
  /** Seconds that the stream of all events is behind. */
  readonly eventLag?: (() => Promise<number>) | undefined;
}

export interface Metrics {
  /** Counts what happens in a worker of this process. Without one, all its counts stay 0. */
  readonly observer: WorkerObserver;
  readonly contentType: string;
  /** The text. A database that does not answer is told in it (`cape_database_up`), and no error. */
  text(source: MetricsSource): Promise<string>;
}

/** Metrics of their own: a process may have several servers, and a test does. */
export function createMetrics(): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const queue = queueMetrics(registry);
  const observer = workerMetrics(registry);
  let asking: Promise<string> | null = null;
  return {
    observer,
    contentType: registry.contentType,
    // Whoever asks meanwhile gets the same answer: the numbers cost some 40 ms of the database with millions of issues.
    text: (source) => {
      asking ??= queue(source)
        .then(() => registry.metrics())
        .finally(() => (asking = null));
      return asking;
    },
  };
}

/** Of workers that are there; those that were once seen may be thousands. */
const MOST_WORKERS = 200;
const WORKER_STATES = ['running', 'paused', 'stale', 'stopped'] as const;

/** @returns what reads the queue and sets its metrics */
function queueMetrics(registry: Registry): (source: MetricsSource) => Promise<void> {
  const gauge = <const L extends string = never>(name: string, help: string, ...labelNames: L[]) =>
    new Gauge<L>({ name, help, labelNames, registers: [registry] });
  const up = gauge('cape_database_up', 'The database answered when the numbers were asked for (1), or not (0)');
  const issues = gauge('cape_issues', 'Issues by status', 'status');
  const estimated = gauge(
    'cape_issues_estimated',
    'The number in cape_issues is an estimate (1) or exact (0)',
    'status',
  );
  const parked = gauge('cape_issues_parked', 'Pending issues that wait for a time to come');
  const oldest = gauge('cape_oldest_pending_age_seconds', 'Age of the oldest issue that could run now, 0 without any');
  const stranded = gauge('cape_issues_stranded', 'Pending issues directed to workers that are not there');
  const ended = gauge('cape_issues_ended_last_hour', 'Issues that ended within the last hour', 'status');
  const workers = gauge('cape_workers', 'Workers by state', 'state');
  const slots = gauge('cape_worker_slots', 'Issues that a worker may run at a time', 'worker');
  const running = gauge('cape_worker_running', 'Issues that a worker runs', 'worker');
  const lag = gauge(
    'cape_event_lag_seconds',
    'How long the oldest event has waited that the stream of all does not show yet',
  );
  const ofDatabase = [issues, estimated, parked, oldest, stranded, ended, workers, slots, running, lag];

  const setStats = (stats: Stats) => {
    for (const status of [...STATUSES, 'other'] as const) {
      issues.set({ status }, stats[status]);
      estimated.set({ status }, stats.estimated.includes(status) ? 1 : 0);
    }
    parked.set(stats.parked);
    oldest.set(Math.max(0, stats.oldest_pending_seconds ?? 0));
    stranded.set(stats.stranded.reduce((sum, { issues: count }) => sum + count, 0));
    ended.set({ status: 'completed' }, stats.completed_last_hour);
    ended.set({ status: 'failed' }, stats.failed_last_hour);
  };
  const setWorkers = (rows: readonly WorkerRow[]) => {
    for (const state of WORKER_STATES) workers.set({ state }, rows.filter((row) => stateOf(row) === state).length);
    const here = rows.filter((row) => ['running', 'paused'].includes(stateOf(row))).slice(0, MOST_WORKERS);
    slots.reset();
    running.reset();
    for (const row of here) {
      slots.set({ worker: row.id }, row.slots);
      running.set({ worker: row.id }, row.running);
    }
  };
  return async ({ client, eventLag }) => {
    try {
      const [stats, rows, behind] = await Promise.all([client.stats(), client.workers(), eventLag?.() ?? 0]);
      setStats(stats);
      setWorkers(rows);
      lag.set(behind);
      up.set(1);
    } catch {
      // Old numbers would pass for those of now. Why it does not answer is said by /readyz and the log.
      for (const metric of ofDatabase) metric.reset();
      for (const metric of [parked, oldest, stranded, lag]) metric.set(Number.NaN);
      up.set(0);
    }
  };
}

function stateOf({ stopped_at, silent_ms, paused }: WorkerRow): (typeof WORKER_STATES)[number] {
  if (stopped_at !== null) return 'stopped';
  if (silent_ms > STALE_SECONDS * 1000) return 'stale';
  return paused ? 'paused' : 'running';
}

/** A handler takes milliseconds, an agent hours. */
const RUN_BUCKETS = [0.01, 0.1, 1, 5, 15, 60, 300, 900, 1800, 3600, 7200, 14_400, 28_800];
const WAIT_BUCKETS = [0.01, 0.05, 0.25, 1, 5, 15, 60, 300, 900, 3600, 14_400, 86_400];
const CLAIM_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 15];
const FAILURE_KINDS = ['unreachable', 'refused', 'readonly', 'schema', 'permission', 'data', 'transient', 'other'];

function workerMetrics(registry: Registry): WorkerObserver {
  const counter = <const L extends string = never>(name: string, help: string, ...labelNames: L[]) =>
    new Counter<L>({ name, help, labelNames, registers: [registry] });
  const histogram = (name: string, help: string, buckets: number[]) =>
    new Histogram({ name, help, buckets, registers: [registry] });
  const claims = counter('cape_claims_total', 'Issues that this worker has claimed');
  const claimSeconds = histogram(
    'cape_claim_duration_seconds',
    'Time of a statement that claimed something',
    CLAIM_BUCKETS,
  );
  const wait = histogram('cape_issue_wait_seconds', 'From when an issue was added to its first claim', WAIT_BUCKETS);
  const attempts = counter('cape_attempts_total', 'Attempts that have ended in this worker', 'outcome');
  const run = histogram('cape_attempt_duration_seconds', 'How long attempts ran', RUN_BUCKETS);
  const retries = counter('cape_retries_total', 'Attempts after which the issue went back to pending');
  const rescues = counter('cape_rescues_total', 'Issues that this worker has taken from workers that were gone');
  const lost = counter('cape_lost_leases_total', "Attempts that were no longer this worker's when they ended");
  const failures = counter('cape_database_errors_total', 'Statements that failed and are tried again', 'kind');
  for (const outcome of OUTCOMES) attempts.inc({ outcome }, 0);
  for (const kind of FAILURE_KINDS) failures.inc({ kind }, 0);
  return {
    claimed(all, tookMs) {
      claims.inc(all.length);
      claimSeconds.observe(tookMs / 1000);
      for (const { issue, attempt } of all) {
        const waitedMs = Date.now() - Date.parse(isoTime(issue.created_at));
        // '-infinity' is a time for Postgres.
        if (attempt === 1 && Number.isFinite(waitedMs)) wait.observe(Math.max(0, waitedMs) / 1000);
      }
    },
    ended(_claim, { kind }, ranMs) {
      attempts.inc({ outcome: kind });
      if (ranMs !== null) run.observe(ranMs / 1000);
      if (kind === 'lost') lost.inc();
    },
    settled({ verdict }, isLost) {
      if (isLost) lost.inc();
      else if (verdict.action === 'requeue') retries.inc();
    },
    rescued: (issues) => rescues.inc(issues),
    databaseFailed: (kind) => failures.inc({ kind }),
  };
}

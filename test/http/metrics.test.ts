/** What `/metrics` says of a queue and of a worker, and that Prometheus can read it. */
import { spawnSync } from 'node:child_process';
import { beforeEach, expect, test } from 'vitest';
import { createClient } from '../../src/client.js';
import { CapeError } from '../../src/core/errors.js';
import { eventLag } from '../../src/events/lag.js';
import { createMetrics, type MetricsSource } from '../../src/http/metrics.js';
import { IssueWorker } from '../../src/worker/issue-worker.js';
import { actor, claimAs, insert } from '../queue/actors.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { until } from '../support/until.js';
import { READ, serveApi } from './api.js';

let t: TestDatabase;
let source: MetricsSource;

beforeEach(async () => {
  t = await createTestDatabase();
  const client = createClient({ databaseUrl: t.url });
  source = { client, eventLag: async () => 0.25 };
  return () => client.close();
});

/** The value of a series as it is written, such as `cape_issues{status="failed"}`. */
function sample(text: string, series: string): number {
  const line = text.split('\n').find((each) => each.startsWith(`${series} `));
  expect(line, series).toBeDefined();
  return Number(line!.slice(series.length + 1));
}

test('a worker counts what it claims and what comes of it', async () => {
  await insert(t.sql, 'works', 'fails', 'fails');
  const metrics = createMetrics();
  await new IssueWorker({
    databaseUrl: t.url,
    workerId: 'w-1',
    drain: true,
    maxAttempts: 2,
    retryBase: '1ms',
    observer: metrics.observer,
    handler: ({ description }) => {
      if (description === 'fails') throw new Error('no luck');
    },
  }).run();
  const text = await metrics.text(source);
  expect(sample(text, 'cape_claims_total')).toBe(5);
  expect(sample(text, 'cape_issue_wait_seconds_count')).toBe(3);
  expect(sample(text, 'cape_attempts_total{outcome="succeeded"}')).toBe(1);
  expect(sample(text, 'cape_attempts_total{outcome="failed"}')).toBe(4);
  expect(sample(text, 'cape_attempts_total{outcome="timed_out"}')).toBe(0);
  expect(sample(text, 'cape_attempt_duration_seconds_count')).toBe(5);
  expect(sample(text, 'cape_retries_total')).toBe(2);
  expect(sample(text, 'cape_claim_duration_seconds_count')).toBeGreaterThan(0);
  expect(sample(text, 'cape_lost_leases_total')).toBe(0);
  expect(sample(text, 'cape_workers{state="stopped"}')).toBe(1);
  expect(text).not.toContain('worker="w-1"');
});

test('the queue is told by status, with its workers that are there', async () => {
  const worker = await actor(t.db, 'alleycat-1');
  await insert(t.sql, 'runs', 'waits', 'waits');
  await t.sql`insert into cape_issues (description, assigned_worker_id) values ('directed', 'nobody-1')`;
  await t.sql`update cape_issues set created_at = now() - interval '1 h' where id = 2`;
  await t.sql`update cape_issues set priority = 1 where id = 1`;
  await claimAs(t.db, worker, { limit: 1 });
  const text = await createMetrics().text(source);
  expect(sample(text, 'cape_issues{status="pending"}')).toBe(3);
  expect(sample(text, 'cape_issues{status="started"}')).toBe(1);
  expect(sample(text, 'cape_issues{status="failed"}')).toBe(0);
  expect(sample(text, 'cape_issues_estimated{status="pending"}')).toBe(0);
  expect(sample(text, 'cape_issues_stranded')).toBe(1);
  expect(sample(text, 'cape_oldest_pending_age_seconds')).toBeGreaterThanOrEqual(3600);
  expect(sample(text, 'cape_worker_running{worker="alleycat-1"}')).toBe(1);
  expect(sample(text, 'cape_worker_slots{worker="alleycat-1"}')).toBe(1);
  expect(sample(text, 'cape_event_lag_seconds')).toBe(0.25);
  expect(sample(text, 'cape_database_up')).toBe(1);
  expect(sample(text, 'process_cpu_seconds_total')).toBeGreaterThan(0);
});

test('a database that does not answer is told, and no number of before', async () => {
  const metrics = createMetrics();
  await insert(t.sql, 'waits');
  await metrics.text(source);
  const away = () => Promise.reject(new CapeError('database', 'away'));
  metrics.observer.databaseFailed?.('unreachable');
  const text = await metrics.text({ client: { ...source.client, stats: away } });
  expect(sample(text, 'cape_database_up')).toBe(0);
  expect(text).not.toMatch(/^cape_issues\{/m);
  expect(sample(text, 'cape_oldest_pending_age_seconds')).toBeNaN();
  expect(sample(text, 'cape_database_errors_total{kind="unreachable"}')).toBe(1);
});

test('what was lost and what was rescued is counted', async () => {
  const metrics = createMetrics();
  metrics.observer.rescued?.(3);
  const text = await metrics.text(source);
  expect(sample(text, 'cape_rescues_total')).toBe(3);
});

test('the server gives it to whoever has a token, and the history as JSON', async () => {
  await insert(t.sql, 'works');
  const metrics = createMetrics();
  await new IssueWorker({
    databaseUrl: t.url,
    workerId: 'w-1',
    drain: true,
    observer: metrics.observer,
    handler: () => 1,
  }).run();
  const api = await serveApi(t, { metrics });
  expect((await api.ask('GET', '/metrics', { token: null })).status).toBe(401);
  const answer = await api.ask('GET', '/metrics', { token: READ });
  expect(answer.headers.get('content-type')).toMatch(/^text\/plain; version=/);
  expect(sample(answer.text, 'cape_claims_total')).toBe(1);
  expect(sample(answer.text, 'cape_issues{status="completed"}')).toBe(1);
  expect(sample(answer.text, 'cape_event_lag_seconds')).toBeGreaterThanOrEqual(0);
  const { body } = await api.ask('GET', '/api/stats/history?minutes=5');
  expect(body).toMatchObject({ bucket_seconds: 60, estimated: false });
  expect(body.buckets).toHaveLength(5);
  expect(body.buckets.reduce((sum: number, { completed }: { completed: number }) => sum + completed, 0)).toBe(1);
  expect((await api.ask('GET', '/api/stats/history?minutes=0')).status).toBe(400);
});

test('an event that a forgotten transaction holds up is seen in the lag', async () => {
  const release = await t.sql.reserve();
  await release`begin`;
  await release`select pg_current_xact_id()`;
  await t.sql`insert into cape_events (issue_id, seq, at, kind) values (1, 1, now() - interval '5 s', 'started')`;
  expect(await eventLag(t.db)).toBeGreaterThanOrEqual(5);
  await release`rollback`;
  release.release();
  // A transaction of another database of the server holds it up as well.
  await until(async () => (await eventLag(t.db)) === 0);
});

test('those who ask at once are answered by one look at the queue', async () => {
  let asked = 0;
  const stats = () => {
    asked += 1;
    return source.client.stats();
  };
  const metrics = createMetrics();
  const ask = () => metrics.text({ client: { ...source.client, stats } });
  await Promise.all([ask(), ask(), ask()]);
  expect(asked).toBe(1);
});

test.skipIf(spawnSync('promtool', ['--version']).status !== 0)('promtool has nothing to say against it', async () => {
  const input = await createMetrics().text(source);
  const { stdout, stderr, status } = spawnSync('promtool', ['check', 'metrics'], { input, encoding: 'utf8' });
  // Of prom-client's own metrics of Node it dislikes two names.
  const ours = `${stdout}${stderr}`.split('\n').filter((line) => line.startsWith('cape_'));
  expect(ours).toEqual([]);
  expect(status).not.toBe(1);
});

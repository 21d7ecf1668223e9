/** How the queue is doing, at a glance. */
import { signal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { ask } from '../api/request.js';
import type { History, IssuePage, Stats, Worker } from '../api/types.js';
import { Throughput } from '../chart/throughput.js';
import { Wait } from '../chart/wait.js';
import { Empty, Trouble } from '../parts/empty.js';
import { failureRate } from '../parts/failure-rate.js';
import { IssueLines } from '../parts/issue-lines.js';
import { moveRow } from '../parts/rows.js';
import { WorkerTable } from '../parts/worker-table.js';
import { useKeys } from '../state/keys.js';
import { useLoaded } from '../state/load.js';
import { to } from '../state/route.js';
import { count, duration, plural, short } from '../text/format.js';

const RANGES = [
  { minutes: 60, text: '1 h' },
  { minutes: 360, text: '6 h' },
  { minutes: 1440, text: '24 h' },
] as const;
const minutes = signal<number>(60);
/** Those that came and went long ago are on the page of workers. */
const SHOWN_WORKERS = 12;

const changes = ({ kind }: { kind: string }) => kind !== 'progress' && kind !== 'log' && kind !== 'output';

export function OverviewPage() {
  const stats = useLoaded('stats', (signal) => ask<Stats>('api/stats', signal), { every: 5000, on: changes });
  const span = minutes.value;
  const history = useLoaded(`history ${span}`, (signal) => ask<History>(`api/stats/history?minutes=${span}`, signal), {
    every: 15_000,
  });
  const workers = useLoaded('workers', (signal) => ask<{ items: Worker[] }>('api/workers', signal), {
    every: 5000,
    on: changes,
  });
  const failed = useLoaded(
    'failed',
    (signal) => ask<IssuePage>('api/issues?status=failed&limit=5&summary=true', signal),
    { every: 15_000, on: ({ kind }) => kind === 'failed' },
  );
  useKeys({ j: () => moveRow(1), k: () => moveRow(-1), ArrowDown: () => moveRow(1), ArrowUp: () => moveRow(-1) });
  const all = workers.data?.items;
  return (
    <main class="page">
      <h1 class="unseen">Overview</h1>
      <Trouble message={stats.error ?? workers.error} />
      {stats.data && <Tiles stats={stats.data} workers={all ?? []} />}
      {stats.data && <Stranded stats={stats.data} />}
      <div class="bar-above">
        <fieldset class="choice">
          <legend class="unseen">Time shown</legend>
          {RANGES.map((range) => (
            <button
              type="button"
              key={range.minutes}
              class="button small"
              aria-pressed={span === range.minutes}
              onClick={() => {
                minutes.value = range.minutes;
              }}
            >
              {range.text}
            </button>
          ))}
        </fieldset>
      </div>
      <Trouble message={history.error} />
      <div class="two">
        {history.data ? (
          <>
            <Throughput history={history.data} />
            <Wait history={history.data} />
          </>
        ) : (
          <>
            <div class="card chart" />
            <div class="card chart" />
          </>
        )}
      </div>
      <section class="card" aria-labelledby="workers-head">
        <header class="card-head">
          <h2 id="workers-head">Workers</h2>
          <a href={to('/workers')}>All workers</a>
        </header>
        {all?.length === 0 ? (
          <Empty title="No worker has been seen yet." command="npx cape-worker run">
            Issues wait until one is started. On the host where the commands are to run:
          </Empty>
        ) : (
          <WorkerTable workers={(all ?? []).filter((one) => one.state !== 'stopped').slice(0, SHOWN_WORKERS)} />
        )}
        {all && all.length > 0 && all.every((one) => one.state === 'stopped') && (
          <Empty title="All workers have stopped." command="npx cape-worker run">
            Issues wait until one is started:
          </Empty>
        )}
      </section>
      <section class="card" aria-labelledby="failed-head">
        <header class="card-head">
          <h2 id="failed-head">Last failed</h2>
          <a href={to('/issues', { status: 'failed' })}>All failed</a>
        </header>
        {failed.data?.items.length === 0 ? (
          <Empty title="Nothing has failed." />
        ) : (
          <IssueLines issues={failed.data?.items ?? []} />
        )}
      </section>
    </main>
  );
}

function Tiles({ stats, workers }: { stats: Stats; workers: readonly Worker[] }) {
  const there = workers.filter(({ state }) => state === 'running' || state === 'paused');
  const slots = there.reduce((sum, { slots }) => sum + slots, 0);
  const about = (name: keyof Stats) => (stats.estimated?.includes(name) ? '≈ ' : '');
  const number = (name: 'pending' | 'started' | 'completed' | 'failed' | 'cancelled') => (
    <span title={count(stats[name])}>{`${about(name)}${short(stats[name])}`}</span>
  );
  const oldest = stats.oldest_pending_seconds;
  return (
    <section class="tiles" aria-label="Counts">
      <Tile name="Pending" status="pending" below={stats.parked > 0 ? `${short(stats.parked)} of them scheduled` : ''}>
        {number('pending')}
      </Tile>
      <Tile name="Running" status="started" below={`${plural(slots, 'slot')} on ${plural(there.length, 'worker')}`}>
        {number('started')}
      </Tile>
      <Tile name="Completed" status="completed" below={`${short(stats.completed_last_hour)} in the last hour`}>
        {number('completed')}
      </Tile>
      <Tile name="Failed" status="failed" below={`${short(stats.failed_last_hour)} in the last hour`}>
        {number('failed')}
      </Tile>
      <Tile name="Failure rate" below="of the last hour">
        {failureRate(stats)}
      </Tile>
      <Tile name="Oldest pending" below={oldest === null ? 'nothing waits' : 'of those that could run'}>
        {oldest === null ? '–' : duration(oldest * 1000)}
      </Tile>
    </section>
  );
}

function Tile(props: { name: string; status?: string; below: string; children: ComponentChildren }) {
  const inside = (
    <>
      <span class="tile-name">{props.name}</span>
      <span class="tile-number num">{props.children}</span>
      <span class="tile-below">{props.below}</span>
    </>
  );
  if (props.status === undefined) return <div class="tile">{inside}</div>;
  return (
    <a class={`tile of-${props.status}`} href={to('/issues', { status: props.status })}>
      {inside}
    </a>
  );
}

function Stranded({ stats }: { stats: Stats }) {
  if (stats.stranded.length === 0) return null;
  return (
    <ul class="notice is-waiting plain">
      {stats.stranded.map(({ worker_id: id, issues, seen }) => (
        <li key={id}>
          <a href={to('/issues', { status: 'pending', worker: id })}>{plural(issues, 'issue')}</a> can only be run by{' '}
          <b>{id}</b>, which {seen ? 'is not there' : 'was never seen'}.
        </li>
      ))}
    </ul>
  );
}

/** One worker: what it runs, what it ran, and whether it takes more. */
import { pauseWorker, resumeWorker } from '../actions.js';
import { ask } from '../api/request.js';
import type { IssuePage, Worker } from '../api/types.js';
import { Empty, Trouble } from '../parts/empty.js';
import { Fact, Facts } from '../parts/facts.js';
import { IssueLines } from '../parts/issue-lines.js';
import { Progress } from '../parts/progress.js';
import { moveRow } from '../parts/rows.js';
import { Badge, STATE_HINT } from '../parts/status.js';
import { Ago, Elapsed, Exact } from '../parts/time.js';
import { Slots } from '../parts/worker-table.js';
import { useKeys } from '../state/keys.js';
import { useLoaded } from '../state/load.js';
import { go, to } from '../state/route.js';
import { mayWrite } from '../state/session.js';
import { firstLine } from '../text/format.js';

export function WorkerPage({ id }: { id: string }) {
  const mine = ({ worker_id: worker, kind }: { worker_id: string | null; kind: string }) =>
    worker === id && kind !== 'log';
  const workers = useLoaded('workers', (signal) => ask<{ items: Worker[] }>('api/workers', signal), {
    every: 5000,
    on: mine,
  });
  const recent = useLoaded(
    `recent ${id}`,
    (signal) => ask<IssuePage>(`api/issues?worker=${encodeURIComponent(id)}&limit=20&summary=true`, signal),
    { every: 15_000, on: (event) => mine(event) && event.kind !== 'progress' },
  );
  useKeys({
    j: () => moveRow(1),
    k: () => moveRow(-1),
    Escape: () => go(to('/workers')),
  });
  const worker = workers.data?.items.find((each) => each.id === id);
  return (
    <main class="page">
      <div class="page-head">
        <h1 class="break">{id}</h1>
        {worker && <Badge status={worker.state} />}
        <span class="spring" />
        {worker && mayWrite.value && <PauseButton worker={worker} reload={workers.reload} />}
      </div>
      <Trouble message={workers.error ?? recent.error} />
      {workers.data && !worker && (
        <section class="card">
          <Empty title="This worker was never seen." command={`npx cape-worker run --worker-id ${id}`}>
            Issues directed to it wait until it is started:
          </Empty>
        </section>
      )}
      {worker && (
        <>
          <p class="muted">{STATE_HINT[worker.state]}</p>
          <WorkerFacts worker={worker} />
          <RunsNow worker={worker} />
        </>
      )}
      <section class="card" aria-labelledby="recent-head">
        <header class="card-head">
          <h2 id="recent-head">Its latest issues</h2>
          <a href={to('/issues', { worker: id })}>All of them</a>
        </header>
        {recent.data?.items.length === 0 ? (
          <Empty title="It has run no issue yet, and none waits for it." />
        ) : (
          <IssueLines issues={recent.data?.items ?? []} />
        )}
      </section>
    </main>
  );
}

function PauseButton({ worker, reload }: { worker: Worker; reload: () => void }) {
  const act = async () => {
    if (await (worker.paused ? resumeWorker(worker.id) : pauseWorker(worker.id))) reload();
  };
  return (
    <button type="button" class="button" onClick={act}>
      {worker.paused ? 'Resume' : 'Pause'}
    </button>
  );
}

function WorkerFacts({ worker }: { worker: Worker }) {
  return (
    <Facts>
      <Fact name="Slots">
        <Slots worker={worker} />
      </Fact>
      <Fact name="Last beat">
        <Ago at={worker.heartbeat_at} />
      </Fact>
      <Fact name="Since">
        <Exact at={worker.started_at} />
      </Fact>
      {worker.stopped_at && (
        <Fact name="Stopped">
          <Exact at={worker.stopped_at} />
        </Fact>
      )}
      <Fact name="Host">{worker.host}</Fact>
      <Fact name="Process">
        <span class="num">{worker.pid}</span>
      </Fact>
      <Fact name="Version">{worker.version}</Fact>
      {worker.log_dir && (
        <Fact name="Logs">
          <span class="break">{worker.log_dir}</span>
        </Fact>
      )}
    </Facts>
  );
}

function RunsNow({ worker }: { worker: Worker }) {
  return (
    <section class="card" aria-labelledby="now-head">
      <header class="card-head">
        <h2 id="now-head">Runs now</h2>
      </header>
      {worker.issues.length === 0 ? (
        <Empty title="Nothing runs on it." />
      ) : (
        <table class="table stacked">
          <thead>
            <tr>
              <th scope="col" class="right">
                Id
              </th>
              <th scope="col" class="wide">
                Description
              </th>
              <th scope="col">Progress</th>
              <th scope="col" class="right">
                Attempt
              </th>
              <th scope="col" class="right">
                For
              </th>
            </tr>
          </thead>
          <tbody>
            {worker.issues.map((issue) => (
              <tr key={issue.id} data-id={issue.id}>
                <td class="right num muted id-cell">{issue.id}</td>
                <td class="wide">
                  <a class="row-link clip" data-row href={to(`/issues/${issue.id}`)} title={issue.description}>
                    {firstLine(issue.description)}
                  </a>
                </td>
                <td data-label="Progress">
                  {issue.progress && <Progress value={issue.progress} label={`Progress of issue ${issue.id}`} />}
                </td>
                <td data-label="Attempt" class="right num">
                  {issue.attempt}
                </td>
                <td data-label="For" class="right">
                  <Elapsed from={issue.started_at} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}

/** One issue: what it asks, what was tried, what it prints, and what may be done about it. */
import { useState } from 'preact/hooks';
import { cancelAll, mayCancel, mayRetry, retryAll } from '../actions.js';
import { ask } from '../api/request.js';
import type { Attempt, IssueDetail } from '../api/types.js';
import { Timeline } from '../chart/timeline.js';
import { AssignDialog } from '../issue/assign-dialog.js';
import { Attempts } from '../issue/attempts.js';
import { Events } from '../issue/events.js';
import { IssueFacts } from '../issue/issue-facts.js';
import { OutputView } from '../output/output-view.js';
import { Empty, Trouble } from '../parts/empty.js';
import { LongText } from '../parts/long-text.js';
import { Progress } from '../parts/progress.js';
import { Badge } from '../parts/status.js';
import { useKeys } from '../state/keys.js';
import { useLoaded } from '../state/load.js';
import { go, replace, route, to } from '../state/route.js';
import { mayWrite } from '../state/session.js';
import { firstLine } from '../text/format.js';

export function IssuePage({ id }: { id: number }) {
  const {
    data: issue,
    error,
    missing,
    reload,
  } = useLoaded(`issue ${id}`, (signal) => ask<IssueDetail>(`api/issues/${id}`, signal), {
    every: 5000,
    on: (event) => event.issue_id === id && event.kind !== 'log',
  });
  const [assigning, setAssigning] = useState(false);
  const retry = async () => {
    if (issue && mayRetry(issue) && (await retryAll([id]))) reload();
  };
  const cancel = async () => {
    if (issue && mayCancel(issue) && (await cancelAll([id], issue.status === 'started' ? 1 : 0))) reload();
  };
  useKeys({ ...(mayWrite.value && { r: retry, c: cancel }), Escape: () => go(to('/issues')) });
  if (missing) {
    return (
      <main class="page">
        <h1>Issue {id}</h1>
        <Empty title="There is no such issue.">It may have been deleted, or never been.</Empty>
      </main>
    );
  }
  if (issue === null) {
    return (
      <main class="page">
        <h1>Issue {id}</h1>
        <Trouble message={error} />
      </main>
    );
  }
  const attempt = attemptShown(issue);
  const select = (number: number) => replace(to(`/issues/${id}`, { attempt: String(number) }));
  return (
    <main class="page">
      <div class="page-head issue-head">
        <span class="muted num">#{id}</span>
        <h1 class="clip" title={firstLine(issue.description)}>
          {firstLine(issue.description)}
        </h1>
        <Badge status={issue.status} />
        <span class="spring" />
        {mayWrite.value && (
          <div class="tools">
            <button type="button" class="button" onClick={retry} disabled={!mayRetry(issue)} aria-keyshortcuts="r">
              {issue.status === 'pending' && issue.run_at !== null ? 'Run now' : 'Retry'}
            </button>
            <button
              type="button"
              class="button"
              onClick={() => setAssigning(true)}
              disabled={issue.status !== 'pending'}
            >
              Assign
            </button>
            <button type="button" class="button" onClick={cancel} disabled={!mayCancel(issue)} aria-keyshortcuts="c">
              Cancel
            </button>
          </div>
        )}
      </div>
      <Trouble message={error} />
      {issue.status === 'started' && issue.progress && (
        <Progress value={issue.progress} label={`Progress of issue ${id}`} />
      )}
      {issue.description.trim() !== firstLine(issue.description) && (
        <LongText title="Description" text={issue.description} />
      )}
      <IssueFacts issue={issue} />
      <section class="card" aria-labelledby="attempts-head">
        <header class="card-head">
          <h2 id="attempts-head">Attempts</h2>
        </header>
        <Timeline issue={issue} selected={attempt?.attempt ?? null} onSelect={select} />
        {issue.attempts.length === 0 ? (
          <NotYet issue={issue} />
        ) : (
          <Attempts attempts={issue.attempts} selected={attempt?.attempt ?? null} onSelect={select} />
        )}
      </section>
      {issue.last_error !== null && issue.status !== 'completed' && <Failure issue={issue} error={issue.last_error} />}
      {issue.result && <LongText title="Result" text={issue.result} />}
      {attempt && (
        <OutputView
          issue={id}
          attempt={attempt.attempt}
          running={attempt.ended_at === null}
          logPath={attempt.log_path}
          logHost={attempt.log_host}
        />
      )}
      <Events id={id} />
      {assigning && <AssignDialog issue={issue} onClose={() => setAssigning(false)} onDone={reload} />}
    </main>
  );
}

/** The one that was asked for, else the latest. */
function attemptShown(issue: IssueDetail): Attempt | undefined {
  const asked = Number(route.value.query.get('attempt'));
  return issue.attempts.find(({ attempt }) => attempt === asked) ?? issue.attempts.at(-1);
}

/** The exit code in the head; below it what was said beyond that. */
function Failure({ issue, error }: { issue: IssueDetail; error: string }) {
  const last = issue.attempts.findLast(({ ended_at: ended }) => ended !== null);
  const how = last?.exit_code ? `exit code ${last.exit_code}` : last?.signal ? `ended by ${last.signal}` : null;
  return <LongText title={how === null ? 'Error' : `Error: ${how}`} text={error === how ? '' : error} bad />;
}

function NotYet({ issue }: { issue: IssueDetail }) {
  if (issue.status !== 'pending') return <Empty title="It has not run." />;
  const worker = issue.assigned_worker_id;
  return (
    <Empty title="It waits for a worker." command={`npx cape-worker run${worker ? ` --worker-id ${worker}` : ''}`}>
      {worker ? `Only ${worker} may take it.` : 'Any worker with a free slot takes it.'} If none is running:
    </Empty>
  );
}

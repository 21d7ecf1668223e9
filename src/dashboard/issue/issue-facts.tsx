import type { IssueDetail } from '../api/types.js';
import { Fact, Facts } from '../parts/facts.js';
import { Ago, Elapsed, Exact } from '../parts/time.js';
import { to } from '../state/route.js';
import { duration } from '../text/format.js';

/** What its row says; of what is usual, nothing. */
export function IssueFacts({ issue }: { issue: IssueDetail }) {
  const worker = issue.assigned_worker_id ?? issue.target_worker_id;
  return (
    <Facts>
      <Fact name="Added">
        <Exact at={issue.created_at} />
      </Fact>
      {issue.started_at && (
        <Fact name={issue.status === 'started' ? 'Runs for' : 'Last run took'}>
          <Elapsed from={issue.started_at} to={issue.status === 'started' ? null : issue.completed_at} />
        </Fact>
      )}
      {issue.completed_at && (
        <Fact name="Ended">
          <Exact at={issue.completed_at} />
        </Fact>
      )}
      {issue.status === 'pending' && issue.run_at && (
        <Fact name="Not before">
          <Ago at={issue.run_at} />
        </Fact>
      )}
      <Fact name="Worker">
        {worker ? <a href={to(`/workers/${encodeURIComponent(worker)}`)}>{worker}</a> : <span class="muted">any</span>}
      </Fact>
      <Fact name="Priority">
        <span class="num">{issue.priority}</span>
      </Fact>
      <Fact name="Failures">
        <span class="num">{failuresOf(issue)}</span>
      </Fact>
      {issue.crashes > 0 && (
        <Fact name="Crashes">
          <span class="num">{issue.crashes} of 3</span>
        </Fact>
      )}
      {issue.snoozes > 0 && (
        <Fact name="Snoozed">
          <span class="num">{issue.snoozes}</span>
        </Fact>
      )}
      {issue.timeout_seconds !== null && (
        <Fact name="Timeout">
          <span class="num">{duration(issue.timeout_seconds * 1000)}</span>
        </Fact>
      )}
      {issue.key !== null && (
        <Fact name="Key">
          <span class="break">{issue.key}</span>
        </Fact>
      )}
      {issue.type !== 'command' && <Fact name="Type">{issue.type}</Fact>}
    </Facts>
  );
}

function failuresOf({ failures, max_attempts: most }: IssueDetail): string {
  if (most === null || most < 0) return String(failures);
  return most === 0 ? `${failures}, no limit` : `${failures} of ${most}`;
}

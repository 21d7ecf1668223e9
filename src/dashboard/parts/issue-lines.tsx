/** A short list of issues: what, when, and what came of it. */
import type { Issue } from '../api/types.js';
import { to } from '../state/route.js';
import { firstLine } from '../text/format.js';
import { Badge } from './status.js';
import { Ago } from './time.js';

export function IssueLines({ issues }: { issues: readonly Issue[] }) {
  return (
    <ul class="plain issue-lines">
      {issues.map((issue) => (
        <li key={issue.id} class="issue-line">
          <Badge status={issue.status} />
          <div class="issue-line-text">
            <a href={to(`/issues/${issue.id}`)} class="clip" title={issue.description}>
              <span class="muted num">#{issue.id}</span> {firstLine(issue.description)}
            </a>
            {issue.last_error && issue.status !== 'completed' && (
              <span class="clip issue-line-error">{firstLine(issue.last_error)}</span>
            )}
          </div>
          <span class="muted">
            <Ago at={issue.completed_at ?? issue.started_at ?? issue.created_at} />
          </span>
        </li>
      ))}
    </ul>
  );
}

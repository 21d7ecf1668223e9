/** Issues as rows. A row that has not changed is not drawn again: a thousand of them stay quick. */
import { Component } from 'preact';
import type { Issue } from '../api/types.js';
import { Badge } from '../parts/status.js';
import { Ago, Elapsed } from '../parts/time.js';
import { to } from '../state/route.js';
import { firstLine } from '../text/format.js';

export interface IssueTableProps {
  readonly issues: readonly Issue[];
  readonly selected: ReadonlySet<number>;
  /** Null where nothing may be done to them. */
  readonly onSelect: ((ids: readonly number[], on: boolean) => void) | null;
}

export function IssueTable({ issues, selected, onSelect }: IssueTableProps) {
  const all = issues.length > 0 && issues.every(({ id }) => selected.has(id));
  const some = issues.some(({ id }) => selected.has(id));
  return (
    <table class="table issues stacked">
      <thead>
        <tr>
          {onSelect && (
            <th scope="col" class="check">
              <input
                type="checkbox"
                aria-label="Select all that are shown"
                checked={all}
                indeterminate={some && !all}
                onChange={() =>
                  onSelect(
                    issues.map(({ id }) => id),
                    !all,
                  )
                }
              />
            </th>
          )}
          <th scope="col" class="right">
            Id
          </th>
          <th scope="col">Status</th>
          <th scope="col" class="wide">
            Description
          </th>
          <th scope="col">Worker</th>
          <th scope="col" class="right">
            Attempt
          </th>
          <th scope="col" class="right">
            Added
          </th>
          <th scope="col" class="right">
            Took
          </th>
        </tr>
      </thead>
      <tbody>
        {issues.map((issue) => (
          <Row key={issue.id} issue={issue} selected={selected.has(issue.id)} onSelect={onSelect} />
        ))}
      </tbody>
    </table>
  );
}

interface RowProps {
  readonly issue: Issue;
  readonly selected: boolean;
  readonly onSelect: IssueTableProps['onSelect'];
}

class Row extends Component<RowProps> {
  override shouldComponentUpdate(next: RowProps) {
    const { issue, selected, onSelect } = this.props;
    return issue !== next.issue || selected !== next.selected || (onSelect === null) !== (next.onSelect === null);
  }

  override render({ issue, selected, onSelect }: RowProps) {
    const worker = issue.assigned_worker_id ?? issue.target_worker_id;
    return (
      <tr data-id={issue.id} class={selected ? 'selected' : ''}>
        {onSelect && (
          <td class="check">
            <input
              type="checkbox"
              aria-label={`Select issue ${issue.id}`}
              checked={selected}
              onChange={(event) => onSelect([issue.id], event.currentTarget.checked)}
            />
          </td>
        )}
        <td class="right num muted id-cell">{issue.id}</td>
        <td class="status-cell">
          <Badge status={issue.status} />
        </td>
        <td class="wide">
          <a class="row-link clip" href={to(`/issues/${issue.id}`)} data-row title={issue.description}>
            {firstLine(issue.description)}
          </a>
          {issue.status === 'pending' && issue.run_at && (
            <div class="row-more muted">
              {issue.failures > 0 ? 'tried again' : 'scheduled'} <Ago at={issue.run_at} />
            </div>
          )}
          {issue.status === 'failed' && issue.last_error && (
            <div class="clip row-error" title={issue.last_error}>
              {firstLine(issue.last_error)}
            </div>
          )}
        </td>
        <td data-label="Worker" class="worker-cell">
          {worker && (
            <a class="clip quiet-link" href={to(`/workers/${encodeURIComponent(worker)}`)} title={worker}>
              {worker}
            </a>
          )}
        </td>
        <td data-label="Attempt" class="right num">
          {issue.attempt > 0 ? issue.attempt : ''}
        </td>
        <td data-label="Added" class="right">
          <Ago at={issue.created_at} />
        </td>
        <td data-label="Took" class="right">
          <Took issue={issue} />
        </td>
      </tr>
    );
  }
}

/** How long its last run took, or takes. */
function Took({ issue }: { issue: Issue }) {
  if (issue.started_at === null || issue.status === 'pending') return null;
  return <Elapsed from={issue.started_at} to={issue.status === 'started' ? null : issue.completed_at} />;
}

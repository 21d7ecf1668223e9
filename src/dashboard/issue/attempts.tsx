/** Each try at the issue; the button shows its output below. */
import type { Attempt } from '../api/types.js';
import { Badge } from '../parts/status.js';
import { Elapsed, Exact } from '../parts/time.js';
import { to } from '../state/route.js';
import { firstLine } from '../text/format.js';

export interface AttemptsProps {
  readonly attempts: readonly Attempt[];
  readonly selected: number | null;
  readonly onSelect: (attempt: number) => void;
}

/** Latest first: what an issue that was tried a hundred times did last is what people come for. */
export function Attempts({ attempts, selected, onSelect }: AttemptsProps) {
  return (
    <div class="scrolls">
      <table class="table stacked attempts">
        <thead>
          <tr>
            <th scope="col">Attempt</th>
            <th scope="col">Outcome</th>
            <th scope="col">Worker</th>
            <th scope="col">Started</th>
            <th scope="col" class="right">
              Took
            </th>
            <th scope="col" class="right">
              Exit
            </th>
            <th scope="col" class="wide">
              Error
            </th>
          </tr>
        </thead>
        <tbody>
          {[...attempts].reverse().map((attempt) => (
            <tr key={attempt.attempt} class={attempt.attempt === selected ? 'selected' : ''}>
              <td>
                <button
                  type="button"
                  class="button small"
                  aria-pressed={attempt.attempt === selected}
                  aria-label={`Show the output of attempt ${attempt.attempt}`}
                  onClick={() => onSelect(attempt.attempt)}
                >
                  <span class="num">{attempt.attempt}</span>
                </button>
              </td>
              <td data-label="Outcome">
                <Badge status={attempt.outcome ?? 'running'} />
              </td>
              <td data-label="Worker">
                <a class="quiet-link" href={to(`/workers/${encodeURIComponent(attempt.worker_id)}`)}>
                  {attempt.worker_id}
                </a>
              </td>
              <td data-label="Started">
                <Exact at={attempt.started_at} />
              </td>
              <td data-label="Took" class="right">
                <Elapsed from={attempt.started_at} to={attempt.ended_at} />
              </td>
              <td data-label="Exit" class="right num">
                {attempt.exit_code ?? attempt.signal ?? ''}
              </td>
              <td data-label="Error" class="wide">
                {attempt.error && (
                  <span class="clip" title={attempt.error}>
                    {firstLine(attempt.error)}
                  </span>
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

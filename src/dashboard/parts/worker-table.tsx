/** Workers, with what they run. */
import type { Worker } from '../api/types.js';
import { to } from '../state/route.js';
import { firstLine } from '../text/format.js';
import { Badge, STATE_HINT } from './status.js';
import { Ago, Elapsed } from './time.js';

const ORDER = { running: 0, paused: 1, stale: 2, stopped: 3 } as const;

/** Those that are there first. */
export function inOrder(workers: readonly Worker[]): Worker[] {
  return [...workers].sort((a, b) => ORDER[a.state] - ORDER[b.state] || a.id.localeCompare(b.id));
}

export function WorkerTable({ workers }: { workers: readonly Worker[] }) {
  return (
    <table class="table stacked">
      <thead>
        <tr>
          <th scope="col">Worker</th>
          <th scope="col">State</th>
          <th scope="col">Slots</th>
          <th scope="col" class="wide">
            Runs now
          </th>
          <th scope="col">Last beat</th>
        </tr>
      </thead>
      <tbody>
        {inOrder(workers).map((worker) => (
          <tr key={worker.id}>
            <td>
              <a class="row-link" href={to(`/workers/${encodeURIComponent(worker.id)}`)} data-row>
                {worker.id}
              </a>
              <div class="muted clip">{worker.host}</div>
            </td>
            <td data-label="State">
              <span title={STATE_HINT[worker.state]}>
                <Badge status={worker.state} />
              </span>
            </td>
            <td data-label="Slots">
              <Slots worker={worker} />
            </td>
            <td data-label="Runs now" class="wide">
              <Running worker={worker} />
            </td>
            <td data-label="Last beat">
              <Ago at={worker.heartbeat_at} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** How many of its slots are taken; a bar where they can be counted at a glance. */
export function Slots({ worker }: { worker: Worker }) {
  const taken = worker.issues.length;
  return (
    <span class="slots">
      <span class="num">
        {taken}/{worker.slots}
      </span>
      {worker.slots <= 12 && (
        <span class="pips" aria-hidden="true">
          {Array.from({ length: worker.slots }, (_, n) => (
            <span key={n} class={n < taken ? 'pip taken' : 'pip'} />
          ))}
        </span>
      )}
    </span>
  );
}

const SHOWN = 3;

function Running({ worker }: { worker: Worker }) {
  if (worker.issues.length === 0) return <span class="muted">nothing</span>;
  return (
    <ul class="plain">
      {worker.issues.slice(0, SHOWN).map((issue) => (
        <li key={issue.id} class="running-line">
          <a href={to(`/issues/${issue.id}`)} class="clip" title={issue.description}>
            <span class="muted num">#{issue.id}</span> {firstLine(issue.description)}
          </a>
          {issue.progress?.percent != null && <span class="muted num">{Math.round(issue.progress.percent)} %</span>}
          <span class="muted">
            <Elapsed from={issue.started_at} />
          </span>
        </li>
      ))}
      {worker.issues.length > SHOWN && <li class="muted">and {worker.issues.length - SHOWN} more</li>}
    </ul>
  );
}

/** Rows as the API writes them: times as text, and summaries cut. */

import type * as z from 'zod';
import type { WorkerRow } from '../client.js';
import type { IssueEvent } from '../core/event.js';
import type { Attempt, Issue } from '../core/issue.js';
import type { NewIssue } from '../queue/new-issue.js';
import { STALE_SECONDS } from '../queue/workers.js';
import { FOR_GOOD, type newIssueSchema } from './schemas.js';
import type { WireAttempt, WireEvent, WireIssue, WireWorker } from './wire-types.js';

export function timeOf(date: Date): string {
  // Postgres has such times and a Date has not.
  return Number.isNaN(date.getTime()) ? FOR_GOOD : date.toISOString();
}

const timeOrNull = (date: Date | null): string | null => (date === null ? null : timeOf(date));

export function wireIssue(issue: Issue): WireIssue {
  const { created_at, updated_at, started_at, completed_at, run_at } = issue;
  return {
    ...issue,
    created_at: timeOf(created_at),
    updated_at: timeOf(updated_at),
    started_at: timeOrNull(started_at),
    completed_at: timeOrNull(completed_at),
    run_at: timeOrNull(run_at),
  };
}

/** The first characters; never half of a surrogate pair, which has no UTF-8. */
export function cut(text: string, length: number): string {
  if (text.length <= length) return text;
  const isHalf = /[\uD800-\uDBFF]/.test(text[length - 1] ?? '');
  return text.slice(0, isHalf ? length - 1 : length);
}

export function wireAttempt(attempt: Attempt): WireAttempt {
  return { ...attempt, started_at: timeOf(attempt.started_at), ended_at: timeOrNull(attempt.ended_at) };
}

export function wireEvent(event: IssueEvent): WireEvent {
  return { ...event, at: timeOf(event.at), data: { ...event.data } };
}

/** How a worker is, in one word. */
export function stateOf(row: WorkerRow): WireWorker['state'] {
  if (row.stopped_at !== null) return 'stopped';
  if (row.silent_ms > STALE_SECONDS * 1000) return 'stale';
  return row.paused ? 'paused' : 'running';
}

export function wireWorker(row: WorkerRow, issues: WireWorker['issues']): WireWorker {
  return {
    ...row,
    state: stateOf(row),
    started_at: timeOf(row.started_at),
    heartbeat_at: timeOf(row.heartbeat_at),
    waiting_until: timeOrNull(row.waiting_until),
    stopped_at: timeOrNull(row.stopped_at),
    issues,
  };
}

/** A new issue as programs write it. */
export function toNewIssue(body: z.output<typeof newIssueSchema>): NewIssue {
  const { max_attempts, timeout_seconds, run_at, delay_ms, ...same } = body;
  return {
    ...same,
    maxAttempts: max_attempts,
    timeoutSeconds: timeout_seconds,
    runAt: run_at === undefined ? undefined : new Date(run_at),
    delayMs: delay_ms,
  };
}

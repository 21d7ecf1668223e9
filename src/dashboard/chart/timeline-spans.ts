/** What an issue's time was spent on, from when it was added until its end or now. */
import type { Attempt, Issue } from '../api/types.js';

export interface Span {
  readonly kind: 'wait' | 'attempt';
  /** Milliseconds since 1970. */
  readonly from: number;
  readonly to: number;
  readonly attempt: Attempt | null;
}

/** Oldest first, without gaps: between attempts it waited. */
export function spansOf(
  issue: Pick<Issue, 'created_at' | 'completed_at' | 'status'>,
  attempts: readonly Attempt[],
  now: number,
): Span[] {
  const spans: Span[] = [];
  let at = Date.parse(issue.created_at);
  const wait = (to: number) => {
    if (to > at) spans.push({ kind: 'wait', from: at, to, attempt: null });
    at = Math.max(at, to);
  };
  for (const attempt of attempts) {
    const from = Date.parse(attempt.started_at);
    const to = Math.max(from, attempt.ended_at === null ? now : Date.parse(attempt.ended_at));
    wait(from);
    spans.push({ kind: 'attempt', from: Math.max(at, from), to: Math.max(at, to), attempt });
    at = Math.max(at, to);
  }
  if (issue.status === 'pending') wait(now);
  // Cancelled while it waited.
  else if (issue.completed_at !== null) wait(Date.parse(issue.completed_at));
  return spans;
}

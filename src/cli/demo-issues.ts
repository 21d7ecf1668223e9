/** The issues of the demo, and how each of them is meant to end. */
import type { NewIssue } from '../client.js';
import type { Attempt, Issue, Status } from '../core/issue.js';
import type { OutcomeKind } from '../core/outcome.js';

export interface DemoIssue extends NewIssue {
  /** How it is meant to end, and how each of its attempts. */
  readonly ends: Status;
  readonly attempts: readonly OutcomeKind[];
  /** The demo cancels it when it has run for so many milliseconds. */
  readonly cancelAfterMs?: number;
}

/** What is known of one issue while the demo runs and at its end. */
export interface Seen {
  readonly demo: DemoIssue;
  readonly issue: Issue;
  /** Oldest first. */
  readonly attempts: readonly Attempt[];
  /** The last line that its latest attempt has printed. */
  readonly lastLine: string;
}

/** The words in brackets tell the example command how to behave. The urgent one comes last and is to start first. */
export const DEMO_ISSUES: readonly DemoIssue[] = [
  { description: 'Write a welcome page', ends: 'completed', attempts: ['succeeded'] },
  { description: 'Fix the login bug [fail once]', ends: 'completed', attempts: ['failed', 'succeeded'] },
  {
    description: 'Divide by zero [always fail]',
    maxAttempts: 3,
    ends: 'failed',
    attempts: ['failed', 'failed', 'failed'],
  },
  {
    description: 'Count to infinity [too slow]',
    timeoutSeconds: 2,
    maxAttempts: 1,
    ends: 'failed',
    attempts: ['timed_out'],
  },
  { description: 'Use the new server [not now]', ends: 'completed', attempts: ['snoozed', 'succeeded'] },
  { description: 'Paint it pink [too slow]', cancelAfterMs: 1500, ends: 'cancelled', attempts: ['cancelled'] },
  { description: 'Urgent: restore the backup', priority: 10, ends: 'completed', attempts: ['succeeded'] },
];

/** In what an issue did not end as it was meant to, in words; null where it did. */
export function deviation({ demo, issue, attempts }: Seen, all: readonly Seen[]): string | null {
  const was = inWords(
    issue.status,
    attempts.map(({ outcome }) => outcome ?? 'running'),
  );
  const meant = inWords(demo.ends, demo.attempts);
  if (was !== meant) return `issue ${issue.id} is ${was}; it was to be ${meant}`;
  const urgent = (demo.priority ?? 0) > 0;
  if (urgent && all.some((other) => firstStart(other.attempts) < firstStart(attempts))) {
    return `issue ${issue.id} has a priority of ${demo.priority} and was not the first to start`;
  }
  return null;
}

function inWords(status: Status, outcomes: readonly string[]): string {
  return `${status} (attempts: ${outcomes.map((outcome) => outcome.replace('_', ' ')).join(', ') || 'none'})`;
}

function firstStart(attempts: readonly Attempt[]): number {
  return attempts[0]?.started_at.getTime() ?? Number.POSITIVE_INFINITY;
}

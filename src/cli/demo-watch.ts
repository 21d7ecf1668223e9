/** Follows the issues of the demo while a worker runs them. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { CapeClient } from '../client.js';
import type { Attempt } from '../core/issue.js';
import { oneLine } from '../core/text.js';
import { readTail } from '../execution/tail.js';
import { DEMO_ISSUES, type Seen } from './demo-issues.js';
import type { DemoView } from './demo-view.js';

/** Seven issues are 14 reads by key: nothing, at this pace. */
const LOOK_MS = 150;
/** Enough for the last line of an attempt's output. */
const TAIL_BYTES = 1000;

export interface Watched {
  readonly client: CapeClient;
  /** Of the demo's issues, in their order. */
  readonly ids: readonly number[];
  readonly view: DemoView;
  /** The worker's run. */
  readonly worked: Promise<void>;
}

/**
 * Shows the issues until the worker has left, and cancels the one that is to be cancelled.
 * @returns the issues as they are then
 * @throws what the worker throws
 */
export async function watch({ client, ids, view, worked }: Watched): Promise<readonly Seen[]> {
  const cancelled = new Set<number>();
  let over = false;
  const leave = () => {
    over = true;
  };
  worked.then(leave, leave);
  for (;;) {
    // Asked before looking: what is seen after the worker's end is how things ended.
    const last = over;
    const seen = await Promise.all(ids.map((id, index) => look(client, id, index)));
    view.show(seen);
    if (last) return seen;
    for (const { issue } of seen.filter(isDueForCancel)) {
      if (!cancelled.has(issue.id)) await client.cancel(issue.id);
      cancelled.add(issue.id);
    }
    await Promise.race([worked, sleep(LOOK_MS)]);
  }
}

async function look(client: CapeClient, id: number, index: number): Promise<Seen> {
  const [issue, attempts] = await Promise.all([client.get(id), client.attempts(id)]);
  return { demo: DEMO_ISSUES[index]!, issue, attempts, lastLine: await lastLineOf(attempts.at(-1)) };
}

function isDueForCancel({ demo, issue }: Seen): boolean {
  if (demo.cancelAfterMs === undefined || issue.status !== 'started' || issue.started_at === null) return false;
  return Date.now() - issue.started_at.getTime() >= demo.cancelAfterMs;
}

/** A running attempt's output is only in its file, on this host; that of an ended one is in the database. */
async function lastLineOf(attempt: Attempt | undefined): Promise<string> {
  if (!attempt) return '';
  const { tail, log_path: path } = attempt;
  const text = tail ?? (path === null ? '' : await readTail(path, TAIL_BYTES));
  return oneLine(text.trimEnd().split('\n').at(-1) ?? '');
}

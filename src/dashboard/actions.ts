/** What the buttons do. */
import { tell } from './api/request.js';
import type { Bulk, Issue } from './api/types.js';
import { confirm } from './parts/confirm.js';
import { to } from './state/route.js';
import { mayWrite } from './state/session.js';
import { say, sayFailure } from './state/toast.js';
import { plural } from './text/format.js';

export function mayRetry(issue: Pick<Issue, 'status' | 'run_at'>): boolean {
  return issue.status !== 'started' && (issue.status !== 'pending' || issue.run_at !== null);
}

export function mayCancel(issue: Pick<Issue, 'status'>): boolean {
  return issue.status === 'pending' || issue.status === 'started';
}

/** Issues one after another, in one request. @returns true where something was done */
export async function retryAll(ids: readonly number[]): Promise<boolean> {
  return bulk('retry', ids, 'will run again');
}

/** Asks first. A running command is ended: what it has not finished is lost. */
export async function cancelAll(ids: readonly number[], running: number): Promise<boolean> {
  const what = plural(ids.length, 'issue');
  const warning = running > 0 ? ` ${plural(running, 'running command')} will be ended.` : '';
  const sure = await confirm(
    `Cancel ${ids.length === 1 ? `issue ${ids[0]}` : what}?`,
    `${ids.length === 1 ? 'It' : 'They'} will not run unless retried.${warning}`,
    `Cancel ${ids.length === 1 ? 'the issue' : what}`,
  );
  return sure ? bulk('cancel', ids, 'cancelled') : false;
}

async function bulk(verb: 'retry' | 'cancel', ids: readonly number[], done: string): Promise<boolean> {
  if (!mayWrite.peek() || ids.length === 0) return false;
  try {
    const answer = await tell<Bulk>('POST', `api/issues/${verb}`, { ids });
    if (answer.done.length > 0) {
      const [only] = answer.done;
      say(`${answer.done.length === 1 ? `Issue ${only}` : plural(answer.done.length, 'issue')} ${done}.`);
    }
    for (const { id, detail } of answer.refused.slice(0, 3)) {
      // The server's words name the issue, mostly.
      say(detail.includes(String(id)) ? detail : `Issue ${id}: ${detail}`, { bad: true });
    }
    if (answer.refused.length > 3) say(`${answer.refused.length - 3} more were refused.`, { bad: true });
    return answer.done.length > 0;
  } catch (error) {
    sayFailure(error);
    return false;
  }
}

/** Directs a pending issue to a worker; null lets any take it. */
export async function assign(id: number, worker: string | null): Promise<boolean> {
  return attempt(
    `api/issues/${id}/assign`,
    { worker },
    worker === null ? `Any worker may take issue ${id}.` : `Issue ${id} waits for ${worker}.`,
  );
}

export async function pauseWorker(id: string): Promise<boolean> {
  return attempt(`api/workers/${encodeURIComponent(id)}/pause`, {}, `${id} takes no new issues.`);
}

export async function resumeWorker(id: string): Promise<boolean> {
  return attempt(`api/workers/${encodeURIComponent(id)}/resume`, {}, `${id} takes issues again.`);
}

async function attempt(path: string, body: unknown, done: string): Promise<boolean> {
  try {
    await tell('POST', path, body);
    say(done);
    return true;
  } catch (error) {
    sayFailure(error);
    return false;
  }
}

export function sayAdded(id: number): void {
  say(`Issue ${id} is queued.`, { link: { href: to(`/issues/${id}`), text: 'Open' } });
}

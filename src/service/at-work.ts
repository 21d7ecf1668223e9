/** What a service's worker is doing, as the database knows it: reached as the worker reaches it, by its env file. */
import { createClient, type WorkerRow } from '../client.js';
import { CapeError, messageOf } from '../core/errors.js';
import { oneLine } from '../core/text.js';
import { readServiceSettings } from './service-settings.js';
import type { ServiceSpec } from './spec.js';

/** An issue in the hands of a worker. */
export interface RunningIssue {
  readonly id: number;
  readonly attempt: number;
  readonly since: Date | null;
}

export interface AtWork {
  /** Null where the database does not know the worker. */
  readonly row: WorkerRow | null;
  /** The oldest first. */
  readonly issues: readonly RunningIssue[];
}

/** A person waits for the answer, and it is one line of many. */
const DEADLINE_MS = 5000;

/** @returns a text where it can't be known: why, in one line without the password */
export async function lookAtWork(spec: ServiceSpec, deadlineMs = DEADLINE_MS): Promise<AtWork | string> {
  try {
    const { databaseUrl, schema } = readServiceSettings(spec).config;
    if (databaseUrl === undefined) return `${oneLine(spec.envFile)} has no DATABASE_URL`;
    const client = createClient({ databaseUrl, schema, applicationName: 'cape-worker service' });
    try {
      const asked = Promise.all([
        client.workers(),
        client.list({ status: 'started', worker: spec.workerId, limit: MOST_ISSUES }),
      ]);
      const answer = await Promise.race([asked, timeOut(deadlineMs)]);
      if (answer === null) return `the database did not answer within ${deadlineMs / 1000} s`;
      const [workers, started] = answer;
      const issues = started
        .filter(({ assigned_worker_id }) => assigned_worker_id === spec.workerId)
        .map(({ id, attempt, started_at }) => ({ id, attempt, since: started_at }))
        .sort((a, b) => Number(a.since) - Number(b.since));
      return { row: workers.find(({ id }) => id === spec.workerId) ?? null, issues };
    } finally {
      // Not waited for: a database that does not answer does not answer to that either.
      void client.close().catch(() => {});
    }
  } catch (error) {
    if (!(error instanceof CapeError)) throw error;
    return oneLine(messageOf(error));
  }
}

/** More than any worker has at a time. */
const MOST_ISSUES = 1000;

function timeOut(ms: number): Promise<null> {
  return new Promise((resolve) => setTimeout(() => resolve(null), ms).unref());
}

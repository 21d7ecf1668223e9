/** A CapeClient over the HTTP API: the commands do not know which of the two they have. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { CapeClient, ListFilter, NewIssue, WaitOptions } from '../client.js';
import { CapeError } from '../core/errors.js';
import { type Attempt, type Issue, isFinal } from '../core/issue.js';
import {
  ApiClient,
  ApiError,
  type Attempt as WireAttempt,
  type Issue as WireIssue,
  type NewIssue as WireNewIssue,
} from '../http/api-client.js';
import { checkNewIssue } from '../queue/new-issue.js';

export interface RemoteOptions {
  readonly url: string;
  readonly token: string | undefined;
}

/** What the API takes in one call, and gives in one page. */
const MOST = 1000;
const LOOK_MS = 500;

/** @throws CapeError `config` for what is no address */
export function createRemoteClient({ url, token }: RemoteOptions): CapeClient {
  const api = new ApiClient({ url: checkUrl(url), token });
  const asked = <T>(work: Promise<T>): Promise<T> =>
    work.catch((error) => {
      throw explain(error, url);
    });
  return {
    add: async (issue) => (await asked(api.create([toWire(issue)])))[0] as number,
    addMany: async (issues) => {
      if (issues.length > MOST)
        throw new CapeError('usage', `issues: got ${issues.length}; at most ${MOST} in one call`);
      return asked(api.create(issues.map(toWire)));
    },
    get: async (id) => issueOf(await asked(api.issue(id))),
    list: (filter) => asked(listAll(api, filter)),
    page: async (filter) => {
      const page = await asked(api.issues(filter));
      return {
        ...page,
        items: page.items.map((item) => ({ ...issueOf({ result: null, params: null, ...item }), ...cutOf(item) })),
      };
    },
    attempts: async (id) => (await asked(api.attempts(id))).map(attemptOf),
    retry: async (id) => (await asked(api.retry(id))).retried,
    cancel: async (id) => {
      const { state, worker } = await asked(api.cancel(id));
      return state === 'ending' ? { state, worker: worker ?? '' } : { state };
    },
    assign: (id, worker) => asked(api.assign(id, worker)),
    change: async (id, { maxAttempts, timeoutSeconds, runAt, ...same }) => {
      const change = { ...same, max_attempts: maxAttempts, timeout_seconds: timeoutSeconds };
      const when = runAt === undefined ? {} : { run_at: runAt === null ? null : runAt.toISOString() };
      return issueOf(await asked(api.change(id, { ...change, ...when })));
    },
    delete: (id) => asked(api.delete(id)),
    workers: async () =>
      (await asked(api.workers())).map(({ issues: _, state: __, ...row }) => ({
        ...row,
        helpers: row.helpers ?? null,
        started_at: dateOf(row.started_at),
        heartbeat_at: dateOf(row.heartbeat_at),
        waiting_until: dateOrNull(row.waiting_until),
        stopped_at: dateOrNull(row.stopped_at),
      })),
    stats: () => asked(api.stats()),
    history: async (minutes) => {
      const { buckets, ...rest } = await asked(api.history(minutes));
      return { ...rest, buckets: buckets.map((bucket) => ({ ...bucket, at: dateOf(bucket.at) })) };
    },
    pause: async (worker) => void (await asked(api.pause(worker))),
    resume: async (worker) => void (await asked(api.resume(worker))),
    pauses: () => asked(api.pauses()),
    prune: async () => {
      throw new CapeError('usage', 'prune: asks the database itself; run it with DATABASE_URL and without an API URL');
    },
    wait: (id, options = {}) => asked(waitFor(api, id, options)),
    close: async () => {},
  };
}

/** The output of an attempt, from wherever the server has it. */
export type ReadOutput = (
  id: number,
  attempt: number,
) => Promise<{ readonly text: string; readonly from: 'file' | 'events' | 'tail'; readonly skipped: number }>;

/** For `issues logs`. */
export function outputOf({ url, token }: RemoteOptions): ReadOutput {
  const api = new ApiClient({ url: checkUrl(url), token });
  return (id, attempt) =>
    api.output(id, { attempt }).catch((error) => {
      throw explain(error, url);
    });
}

/** What an attempt prints, from its beginning and as it comes, until it has ended. */
export type FollowOutput = (
  id: number,
  attempt: number,
) => AsyncIterable<{ readonly text: string; readonly skipped: number }>;

const ENDS = ['completed', 'failed', 'cancelled', 'retry', 'released', 'rescued'] as const;

/** For `issues logs --follow`: from the events, which come from whichever host the attempt runs on. */
export function followOf({ url, token }: RemoteOptions): FollowOutput {
  const api = new ApiClient({ url: checkUrl(url), token });
  return async function* follow(id, attempt) {
    try {
      for await (const { kind, data } of api.issueEvents(id, { attempt, kinds: ['output', ...ENDS] })) {
        if (kind !== 'output') return;
        yield { text: String(data.text ?? ''), skipped: Number(data.skipped ?? 0) };
      }
    } catch (error) {
      throw explain(error, url);
    }
  };
}

function checkUrl(url: string): string {
  const parsed = /^https?:\/\//i.test(url) && URL.canParse(url) ? new URL(url) : null;
  // In its errors the URL is shown.
  if (parsed?.username === '' && parsed.password === '') return url;
  throw new CapeError('config', 'API URL: must be like http://127.0.0.1:7070, without a name or password in it');
}

const EXPLAINED: Readonly<Record<number, string>> = {
  401: 'set CAPE_API_TOKEN to a token that the server knows',
  403: 'this token may only read; set CAPE_API_TOKEN to one that may write',
  421: 'add this name to CAPE_HTTP_HOSTS of the server',
};

function explain(error: unknown, url: string): unknown {
  if (!(error instanceof ApiError)) return error;
  const { status, message } = error;
  if (status === 0) return new CapeError('database', `API "${url}": ${message}; check CAPE_API_URL, and that it runs`);
  const advice = EXPLAINED[status];
  if (advice !== undefined) return new CapeError('config', `API "${url}": ${message}; ${advice}`);
  if (status === 400) return new CapeError('usage', message);
  if (status >= 500) return new CapeError('database', `API "${url}": ${message}`);
  return new CapeError('refused', message, { missing: status === 404 });
}

async function listAll(api: ApiClient, { limit = 50, status, ...filter }: ListFilter = {}): Promise<Issue[]> {
  // None of the statuses is nothing, and no filter everything.
  if (Array.isArray(status) && status.length === 0) return [];
  const found: Issue[] = [];
  let cursor: string | null = null;
  do {
    const asked: Parameters<ApiClient['issues']>[0] = {
      ...filter,
      status,
      cursor,
      limit: Math.min(MOST, limit - found.length),
    };
    const page = await api.issues(asked);
    found.push(...page.items.map((item) => issueOf({ result: null, params: null, ...item })));
    cursor = page.next;
  } while (cursor !== null && found.length < limit);
  return found;
}

function toWire(issue: NewIssue): WireNewIssue {
  const { maxAttempts, timeoutSeconds, runAt, delayMs, ...same } = checkNewIssue(issue);
  return {
    ...same,
    max_attempts: maxAttempts,
    timeout_seconds: timeoutSeconds,
    run_at: runAt?.toISOString(),
    delay_ms: delayMs,
  };
}

/** `infinity` has no date, and is one that is none, as from the database. */
function dateOf(text: string): Date {
  return new Date(text);
}

const dateOrNull = (text: string | null): Date | null => (text === null ? null : dateOf(text));

function issueOf(wire: WireIssue): Issue {
  const { id, description, assigned_worker_id, priority, target_worker_id, max_attempts, timeout_seconds } = wire;
  const { attempt, failures, crashes, snoozes, generation, result, last_error, type, params, key } = wire;
  // In the order of the database's columns: it is that of the JSON which commands print.
  return {
    id,
    description,
    status: wire.status as Issue['status'],
    assigned_worker_id,
    created_at: dateOf(wire.created_at),
    updated_at: dateOf(wire.updated_at),
    started_at: dateOrNull(wire.started_at),
    completed_at: dateOrNull(wire.completed_at),
    priority,
    run_at: dateOrNull(wire.run_at),
    ...{ target_worker_id, max_attempts, timeout_seconds, attempt, failures, crashes, snoozes, generation, result },
    ...{ last_error, type, params, key },
  };
}

function cutOf({ description_cut }: { description_cut?: boolean | undefined }): { description_cut?: boolean } {
  return description_cut === undefined ? {} : { description_cut };
}

function attemptOf(wire: WireAttempt): Attempt {
  return { ...wire, started_at: dateOf(wire.started_at), ended_at: dateOrNull(wire.ended_at) };
}

/** Its own stream ends with it, and goes on by itself where the server does not answer for a while. */
async function waitFor(api: ApiClient, id: number, { signal, onTrouble }: WaitOptions): Promise<Issue> {
  let told = false;
  const onState = (state: 'open' | 'lost') => {
    if (state === 'lost' && !told) onTrouble?.('the API does not answer');
    told = state === 'lost';
  };
  for (;;) {
    for await (const _ of api.issueEvents(id, { signal, onState }));
    signal?.throwIfAborted();
    const issue = issueOf(await api.issue(id));
    if (isFinal(issue.status)) return issue;
    // Somebody has had it run again in this instant.
    await sleep(LOOK_MS);
  }
}

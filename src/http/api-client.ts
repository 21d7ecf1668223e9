/**
 * A client of the HTTP API for browsers and Node: fetch, and nothing else. Answers have the types of the schemas that the
 * server checks them by. Exported from the package as `cape-worker/api-client`.
 */
import { EventStream, type StreamOptions } from './event-stream.js';
import type {
  EventKind,
  Problem,
  WireAttempt,
  WireBulk,
  WireCancelled,
  WireChange,
  WireEvent,
  WireFullIssue,
  WireHistory,
  WireIssue,
  WireMe,
  WireNewIssue,
  WirePage,
  WirePauses,
  WireRetried,
  WireStats,
  WireWorker,
} from './wire-types.js';

export type { StreamOptions } from './event-stream.js';
export type {
  EventKind,
  Problem,
  WireAttempt as Attempt,
  WireBulk as BulkAnswer,
  WireCancelled as Cancelled,
  WireChange as IssueChange,
  WireEvent as IssueEvent,
  WireFullIssue as FullIssue,
  WireHistory as History,
  WireIssue as Issue,
  WireNewIssue as NewIssue,
  WirePage as IssuePage,
  WireRetried as Retried,
  WireStats as Stats,
  WireWorker as Worker,
} from './wire-types.js';

export interface ApiClientOptions {
  /** `http://127.0.0.1:7070`; absent in a browser: where the page is from. */
  readonly url?: string;
  /** Absent in a browser: the session of its cookie. */
  readonly token?: string | undefined;
  /** Milliseconds until an answer must have begun, default 30,000. Not of streams. */
  readonly timeoutMs?: number;
  readonly fetch?: typeof fetch;
}

/** What the server refused, or that it could not be reached (then `status` is 0). */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly status: number;
  readonly problem: Problem | null;

  constructor(status: number, message: string, problem: Problem | null = null, options?: { cause?: unknown }) {
    super(message, options);
    this.status = status;
    this.problem = problem;
  }
}

export interface IssueQuery {
  readonly status?: string | readonly string[] | undefined;
  readonly worker?: string | undefined;
  readonly search?: string | undefined;
  readonly limit?: number | undefined;
  readonly cursor?: string | null | undefined;
  readonly summary?: boolean | undefined;
}

export interface Output {
  readonly text: string;
  /** Where it came from: the file, the events, or the last 8 KiB that the database keeps. */
  readonly from: 'file' | 'events' | 'tail';
  /** Bytes that were left out before or within it. */
  readonly skipped: number;
}

type Query = Readonly<Record<string, string | number | boolean | null | undefined>>;

const TIMEOUT_MS = 30_000;

export class ApiClient {
  readonly #base: string;
  readonly #options: ApiClientOptions;

  constructor(options: ApiClientOptions = {}) {
    this.#options = options;
    this.#base = (options.url ?? '').replace(/\/+$/, '');
  }

  /** Logs this browser in. */
  login(token: string): Promise<WireMe> {
    return this.#json('POST', '/api/login', { token });
  }

  async logout(): Promise<void> {
    await this.#json('POST', '/api/logout');
  }

  me(): Promise<WireMe> {
    return this.#json('GET', '/api/me');
  }

  issues(query: IssueQuery = {}): Promise<WirePage> {
    const { status, ...rest } = query;
    return this.#json('GET', `/api/issues${queryOf({ ...rest, status: status && [status].flat().join(',') })}`);
  }

  issue(id: number): Promise<WireFullIssue> {
    return this.#json('GET', `/api/issues/${id}`);
  }

  /**
   * Queues issues: all or none.
   * @param key a text of your own: the same again, within a day, gives the same ids and queues nothing
   * @returns their ids in the same order
   */
  async create(issues: readonly WireNewIssue[], key?: string): Promise<number[]> {
    const headers: Record<string, string> = key === undefined ? {} : { 'idempotency-key': key };
    return (await this.#json<{ ids: number[] }>('POST', '/api/issues', { issues }, headers)).ids;
  }

  change(id: number, change: WireChange): Promise<WireIssue> {
    return this.#json('PATCH', `/api/issues/${id}`, change);
  }

  async delete(id: number): Promise<void> {
    await this.#json('DELETE', `/api/issues/${id}`);
  }

  retry(id: number): Promise<WireRetried> {
    return this.#json('POST', `/api/issues/${id}/retry`);
  }

  cancel(id: number): Promise<WireCancelled> {
    return this.#json('POST', `/api/issues/${id}/cancel`);
  }

  async assign(id: number, worker: string | null): Promise<void> {
    await this.#json('POST', `/api/issues/${id}/assign`, { worker });
  }

  retryAll(ids: readonly number[]): Promise<WireBulk> {
    return this.#json('POST', '/api/issues/retry', { ids });
  }

  cancelAll(ids: readonly number[]): Promise<WireBulk> {
    return this.#json('POST', '/api/issues/cancel', { ids });
  }

  async attempts(id: number): Promise<WireAttempt[]> {
    return (await this.#json<{ items: WireAttempt[] }>('GET', `/api/issues/${id}/attempts`)).items;
  }

  /** @param query.tail at most so many bytes of its end */
  async output(id: number, query: { readonly attempt?: number; readonly tail?: number } = {}): Promise<Output> {
    const answer = await this.#ask('GET', `/api/issues/${id}/output${queryOf(query)}`, 'text/plain');
    return {
      text: await this.#read(answer.text()),
      from: (answer.headers.get('x-cape-output') ?? 'tail') as Output['from'],
      skipped: Number(answer.headers.get('x-cape-skipped') ?? 0),
    };
  }

  async workers(): Promise<WireWorker[]> {
    return (await this.#json<{ items: WireWorker[] }>('GET', '/api/workers')).items;
  }

  /** @param worker absent: all */
  pause(worker?: string): Promise<WirePauses> {
    return this.#json('POST', `${workerPath(worker)}/pause`);
  }

  /** @param worker absent: every pause */
  resume(worker?: string): Promise<WirePauses> {
    return this.#json('POST', `${workerPath(worker)}/resume`);
  }

  pauses(): Promise<WirePauses> {
    return this.#json('GET', '/api/pauses');
  }

  stats(): Promise<WireStats> {
    return this.#json('GET', '/api/stats');
  }

  history(minutes = 60): Promise<WireHistory> {
    return this.#json('GET', `/api/stats/history${queryOf({ minutes })}`);
  }

  /**
   * The events of one issue: those of before, then as they come, until its end.
   * @param options.after a seq
   * @param options.attempt only those of this attempt
   */
  issueEvents(
    id: number,
    options: StreamOptions & {
      readonly after?: number;
      readonly kinds?: readonly EventKind[];
      readonly attempt?: number;
    } = {},
  ): AsyncIterable<WireEvent> {
    const { after, kinds, attempt, ...rest } = options;
    const query = queryOf({ kinds: kinds?.join(','), attempt });
    return this.#stream(`/api/issues/${id}/events${query}`, rest, after === undefined ? null : String(after));
  }

  /** The events of all issues from now on, or after a cursor; never ends by itself. */
  events(
    options: StreamOptions & { readonly after?: string | null; readonly kinds?: readonly EventKind[] } = {},
  ): AsyncIterable<WireEvent> {
    const { after = null, kinds, ...rest } = options;
    return this.#stream(`/api/events${queryOf({ kinds: kinds?.join(',') })}`, rest, after);
  }

  #stream(path: string, options: StreamOptions, after: string | null): AsyncIterable<WireEvent> {
    const open = (lastId: string | null, signal: AbortSignal) =>
      this.#fetch('GET', path, {
        headers: { accept: 'text/event-stream', ...(lastId === null ? {} : { 'last-event-id': lastId }) },
        signal,
      });
    return new EventStream(open, after, options);
  }

  async #json<T>(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<T> {
    const answer = await this.#ask(method, path, 'application/json', body, headers);
    return this.#read(answer.json() as Promise<T>);
  }

  /** A body may take its time, and may break off. */
  async #read<T>(body: Promise<T>): Promise<T> {
    return body.catch((error) => {
      const what = error instanceof SyntaxError ? 'is no JSON' : 'broke off';
      throw new ApiError(0, `the answer of ${this.#base || 'the server'} ${what}: ${reasonOf(error)}`, null, {
        cause: error,
      });
    });
  }

  async #ask(
    method: string,
    path: string,
    accept: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Response> {
    const timeoutMs = this.#options.timeoutMs ?? TIMEOUT_MS;
    const late = new AbortController();
    const timer = setTimeout(
      () => late.abort(new DOMException(`none within ${timeoutMs} ms`, 'TimeoutError')),
      timeoutMs,
    );
    try {
      return await this.#fetch(method, path, {
        headers: { accept, ...headers, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
        signal: late.signal,
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
    } finally {
      clearTimeout(timer);
    }
  }

  async #fetch(
    method: string,
    path: string,
    init: RequestInit & { headers: Record<string, string> },
  ): Promise<Response> {
    const { token, fetch: given = fetch } = this.#options;
    const headers = {
      ...init.headers,
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      // What a page of another origin could not send: the server asks for it where a cookie is all that it has.
      'x-cape-request': '1',
    };
    const answer = await given(this.#base + path, { ...init, method, headers, redirect: 'error' }).catch((error) => {
      if (init.signal?.aborted && init.signal.reason?.name !== 'TimeoutError') throw error;
      throw new ApiError(0, `no answer from ${this.#base || 'the server'}: ${reasonOf(error)}`, null, { cause: error });
    });
    if (answer.ok) return answer;
    throw await refusal(answer);
  }
}

/** Node's fetch says "fetch failed" and keeps why in its cause. */
function reasonOf(error: unknown): string {
  const { cause, message } = error as { cause?: { code?: string; message?: string }; message?: string };
  return cause?.message || cause?.code || message || String(error);
}

async function refusal(answer: Response): Promise<ApiError> {
  const text = await answer.text().catch(() => '');
  try {
    const problem = JSON.parse(text) as Problem;
    if (typeof problem.detail === 'string') return new ApiError(answer.status, problem.detail, problem);
  } catch {} // no problem document: of a proxy in between
  return new ApiError(answer.status, `the server answered ${answer.status} ${answer.statusText}`);
}

function workerPath(worker: string | undefined): string {
  return worker === undefined ? '/api' : `/api/workers/${encodeURIComponent(worker)}`;
}

function queryOf(query: Query): string {
  const set = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== '');
  const text = new URLSearchParams(Object.fromEntries(set.map(([name, value]) => [name, String(value)]))).toString();
  return text === '' ? '' : `?${text}`;
}

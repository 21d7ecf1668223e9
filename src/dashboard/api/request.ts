/** Requests to the server that this page came from, and what it says where it refuses. */
import { signal } from '@preact/signals';

/** A refusal, in the server's own words. `status` 0: it was not reached. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

/** Milliseconds by which the server's clock is ahead of this machine's. "3 s ago" is told by the server's. */
export const clockAhead = signal(0);

/** `Date` has seconds only: less of a difference can't be told from none. */
const NOTICEABLE_MS = 2000;
/** Until an answer begins; its body may take longer. */
const DEADLINE_MS = 30_000;

let onUnauthorized: () => void = () => {};

/** @param act called when the server no longer knows this browser */
export function whenUnauthorized(act: () => void): void {
  onUnauthorized = act;
}

/** @throws ApiError where the server refuses, or is not there */
export async function ask<T>(path: string, signal?: AbortSignal): Promise<T> {
  return read(await send('GET', path, undefined, signal), (response) => response.json(), signal) as Promise<T>;
}

/** @throws ApiError where the server refuses, or is not there */
export async function tell<T>(method: 'POST' | 'PATCH' | 'DELETE', path: string, body: unknown = {}): Promise<T> {
  const response = await send(method, path, body);
  return (response.status === 204 ? undefined : await read(response, () => response.json())) as T;
}

/** Text, and the headers that say where it is from. */
export async function askText(
  path: string,
  signal: AbortSignal,
  headers: Readonly<Record<string, string>> = {},
): Promise<{ text: string; headers: Headers }> {
  const response = await send('GET', path, undefined, signal, { accept: 'text/plain', ...headers });
  return { text: await read(response, () => response.text(), signal), headers: response.headers };
}

/** The body. @throws ApiError where it breaks off */
async function read<T>(response: Response, body: (response: Response) => Promise<T>, signal?: AbortSignal): Promise<T> {
  try {
    return await body(response);
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(0, `The server's answer ${error instanceof SyntaxError ? 'is no JSON' : 'broke off'}.`);
  }
}

/** Paths are relative to the page, so that it works below any path of a proxy. */
async function send(
  method: string,
  path: string,
  body?: unknown,
  signal?: AbortSignal,
  headers: Readonly<Record<string, string>> = { accept: 'application/json' },
): Promise<Response> {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), DEADLINE_MS);
  const deadline = late.signal;
  const init: RequestInit = {
    method,
    signal: signal ? AbortSignal.any([signal, deadline]) : deadline,
    credentials: 'same-origin',
    // A page of another origin can't send it without being allowed to: the cookie alone changes nothing.
    headers: {
      ...headers,
      'x-cape-request': '1',
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  };
  let response: Response;
  try {
    response = await fetch(path, init);
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(0, deadline.aborted ? 'The server has not answered in time.' : 'The server is not reachable.');
  } finally {
    clearTimeout(timer);
  }
  noteClock(response);
  if (response.ok) return response;
  if (response.status === 401) onUnauthorized();
  throw new ApiError(response.status, await detailOf(response));
}

/** What a problem document says, else the status line. */
async function detailOf(response: Response): Promise<string> {
  const problem = (await response.json().catch(() => ({}))) as { detail?: unknown; title?: unknown };
  const said = problem.detail ?? problem.title;
  return typeof said === 'string' ? said : `The server answered ${response.status} ${response.statusText}`.trim();
}

export function noteClock(response: Response): void {
  const date = Date.parse(response.headers.get('date') ?? '');
  if (Number.isNaN(date)) return;
  const ahead = date - Date.now();
  const before = clockAhead.peek();
  if (Math.abs(ahead - before) > NOTICEABLE_MS) clockAhead.value = Math.abs(ahead) > NOTICEABLE_MS ? ahead : 0;
}

/** What to show of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

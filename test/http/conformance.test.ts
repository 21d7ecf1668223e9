/** What the OpenAPI document says is what the server does: every route is walked, and every answer checked by its schema. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import * as z from 'zod';
import { ApiClient } from '../../src/http/api-client.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { type Answer, READ, serveApi, type TestApi, WRITE } from './api.js';

interface Operation {
  readonly tags?: string[];
  readonly summary?: string;
  readonly responses: Record<
    string,
    { description?: string; content?: Record<string, { schema: z.core.JSONSchema.JSONSchema }> }
  >;
}

let database: TestDatabase;
let api: TestApi;
let paths: Record<string, Record<string, Operation>>;
const walked = new Set<string>();

beforeAll(async () => {
  database = await createTestDatabase();
  api = await serveApi(database);
  paths = (await api.ask('GET', '/openapi.json')).body.paths;
  await database.sql`insert into cape_workers (id, instance, host, machine, pid, pid_start, version, slots, log_dir)
                     values ('w', gen_random_uuid(), 'here', 'm', 1, '1', '0.1.0', 2, '/logs')`;
  await ended();
});

/** Checks an answer by what the document says of that route and status. */
function check(method: string, path: string, answer: Answer): void {
  const operation = paths[path]?.[method.toLowerCase()];
  expect(operation, `${method} ${path} is in the document`).toBeDefined();
  const said = operation!.responses[answer.status];
  expect(said, `${method} ${path} may answer ${answer.status}: ${answer.text.slice(0, 300)}`).toBeDefined();
  const type = (answer.headers.get('content-type') ?? '').split(';')[0]!;
  const content = said!.content?.[type];
  if (answer.text !== '' && said!.content) expect(Object.keys(said!.content), `${method} ${path}`).toContain(type);
  if (content && /json/.test(type)) z.fromJSONSchema(content.schema as never).parse(answer.body);
  walked.add(`${method} ${path}`);
}

async function issue(columns: Record<string, unknown> = {}): Promise<number> {
  const values = { description: 'x', ...columns } as never;
  const [row] = await database.sql<{ id: number }[]>`insert into cape_issues ${database.sql(values)} returning id`;
  return row!.id;
}

/** An issue with an attempt, an end and events: every column has a value. */
async function ended(): Promise<number> {
  const id = await issue({
    priority: 3,
    max_attempts: 2,
    timeout_seconds: 60,
    params: '{"a":[1]}',
    key: `k-${Math.random()}`,
  });
  await database.sql`update cape_issues set status = 'failed', attempt = 1, failures = 1, last_error = 'no', result = 'r',
    started_at = now(), assigned_worker_id = 'w' where id = ${id}`;
  await database.sql`insert into cape_attempts (issue_id, attempt, token, worker_id, started_at, ended_at, outcome, exit_code, signal, error, log_path, log_host, tail)
    values (${id}, 1, gen_random_uuid(), 'w', now(), now(), 'failed', 1, null, 'no', '/x/issues/1/1.log', 'other', 'the end')`;
  await database.sql`insert into cape_events (issue_id, seq, attempt, kind, data)
    values (${id}, 20, 1, 'progress', '{"percent": 40, "message": "building"}'), (${id}, 21, 1, 'output', '{"offset": 0, "text": "hi"}')`;
  return id;
}

type Walk = readonly [method: string, path: string, ask: () => Promise<Answer>, status: number];

const ask = (method: string, path: string, body?: unknown, headers: Record<string, string> = {}) =>
  api.ask(method, path, { headers, ...(body === undefined ? {} : { body }) });
const browser = { 'x-cape-request': '1' };

const WALKS: readonly Walk[] = [
  ['GET', '/healthz', () => ask('GET', '/healthz'), 200],
  ['GET', '/readyz', () => ask('GET', '/readyz'), 200],
  ['GET', '/metrics', () => ask('GET', '/metrics'), 200],
  ['GET', '/login', () => ask('GET', '/login'), 303],
  ['GET', '/login', () => ask('GET', '/login?once=wrong'), 401],
  [
    'POST',
    '/api/login',
    () => api.ask('POST', '/api/login', { token: null, body: { token: READ }, headers: browser }),
    200,
  ],
  ['POST', '/api/login', () => api.ask('POST', '/api/login', { token: null, body: {}, headers: browser }), 400],
  ['POST', '/api/logout', () => ask('POST', '/api/logout'), 200],
  ['GET', '/api/me', () => ask('GET', '/api/me'), 200],
  ['GET', '/api/issues', () => ask('GET', '/api/issues?summary=true&status=failed&limit=1'), 200],
  ['GET', '/api/issues', () => ask('GET', '/api/issues?status=x'), 400],
  ['GET', '/api/issues', () => api.ask('GET', '/api/issues', { token: null }), 401],
  ['GET', '/api/issues', () => ask('GET', '/api/issues'), 200],
  ['POST', '/api/issues', () => ask('POST', '/api/issues', { description: 'x' }), 201],
  ['POST', '/api/issues', () => ask('POST', '/api/issues', { issues: [] }), 400],
  ['POST', '/api/issues', () => api.ask('POST', '/api/issues', { token: READ, body: { description: 'x' } }), 403],
  ['GET', '/api/issues/{id}', async () => ask('GET', `/api/issues/${await ended()}`), 200],
  ['GET', '/api/issues/{id}', () => ask('GET', '/api/issues/2000000000'), 404],
  ['PATCH', '/api/issues/{id}', async () => ask('PATCH', `/api/issues/${await issue()}`, { priority: 2 }), 200],
  ['PATCH', '/api/issues/{id}', async () => ask('PATCH', `/api/issues/${await ended()}`, { priority: 2 }), 409],
  ['DELETE', '/api/issues/{id}', async () => ask('DELETE', `/api/issues/${await issue()}`), 200],
  ['POST', '/api/issues/{id}/retry', async () => ask('POST', `/api/issues/${await ended()}/retry`), 200],
  ['POST', '/api/issues/{id}/cancel', async () => ask('POST', `/api/issues/${await issue()}/cancel`), 200],
  ['POST', '/api/issues/{id}/cancel', async () => ask('POST', `/api/issues/${await ended()}/cancel`), 409],
  [
    'POST',
    '/api/issues/{id}/assign',
    async () => ask('POST', `/api/issues/${await issue()}/assign`, { worker: null }),
    200,
  ],
  [
    'POST',
    '/api/issues/retry',
    async () => ask('POST', '/api/issues/retry', { ids: [await ended(), 2_000_000_000] }),
    200,
  ],
  ['POST', '/api/issues/cancel', async () => ask('POST', '/api/issues/cancel', { ids: [await issue()] }), 200],
  ['GET', '/api/issues/{id}/attempts', async () => ask('GET', `/api/issues/${await ended()}/attempts`), 200],
  ['GET', '/api/issues/{id}/output', async () => ask('GET', `/api/issues/${await ended()}/output`), 200],
  [
    'GET',
    '/api/issues/{id}/output',
    async () => ask('GET', `/api/issues/${await ended()}/output`, undefined, { range: 'bytes=0-0' }),
    206,
  ],
  [
    'GET',
    '/api/issues/{id}/output',
    async () => ask('GET', `/api/issues/${await ended()}/output`, undefined, { range: 'bytes=9-' }),
    416,
  ],
  ['GET', '/api/issues/{id}/events', async () => ask('GET', `/api/issues/${await ended()}/events`), 200],
  [
    'GET',
    '/api/issues/{id}/events',
    async () => ask('GET', `/api/issues/${await ended()}/events`, undefined, { accept: 'application/json' }),
    200,
  ],
  ['GET', '/api/events', () => ask('GET', '/api/events?after=x'), 400],
  ['GET', '/api/workers', () => ask('GET', '/api/workers'), 200],
  ['POST', '/api/workers/{id}/pause', () => ask('POST', '/api/workers/w/pause'), 200],
  ['POST', '/api/workers/{id}/resume', () => ask('POST', '/api/workers/w/resume'), 200],
  ['POST', '/api/pause', () => ask('POST', '/api/pause'), 200],
  ['POST', '/api/resume', () => ask('POST', '/api/resume'), 200],
  ['GET', '/api/pauses', () => ask('GET', '/api/pauses'), 200],
  ['GET', '/api/stats', () => ask('GET', '/api/stats'), 200],
  ['GET', '/api/stats/history', () => ask('GET', '/api/stats/history?minutes=5'), 200],
  ['GET', '/api/stats/history', () => ask('GET', '/api/stats/history?minutes=0'), 400],
];

describe('every answer is what its schema says:', () => {
  test.each(WALKS)('%s %s', async (method, path, request, status) => {
    const answer = await request();
    expect(answer.status, answer.text).toBe(status);
    check(method, path, answer);
  });

  test('and no route was left out', () => {
    const all = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods)
        .filter((method) => method !== 'head')
        .map((method) => `${method.toUpperCase()} ${path}`),
    );
    expect([...walked].sort()).toEqual([...new Set(all)].sort());
  });
});

describe('the document', () => {
  test('is OpenAPI 3.1, with a summary of each route and how to show a token', async () => {
    const { body } = await api.ask('GET', '/openapi.json');
    expect(body).toMatchObject({ openapi: '3.1.0', components: { securitySchemes: { token: { scheme: 'bearer' } } } });
    const all = Object.values(paths).flatMap((methods) => Object.values(methods));
    expect(all.filter(({ summary }) => !summary)).toEqual([]);
  });

  test('is read as a page without any script', async () => {
    const { text, headers } = await api.ask('GET', '/docs');
    expect(headers.get('content-type')).toContain('text/html');
    for (const path of Object.keys(paths)) expect(text).toContain(path.replace(/\{(\w+)\}/, '{$1}'));
    expect(text).not.toMatch(/<script|style=|onclick|https?:\/\//);
    expect((await api.ask('GET', '/docs/style.css', { token: null })).status).toBe(200);
  });
});

describe('the client', () => {
  test('asks for paths that the document has, by methods that it has', async () => {
    const seen = new Set<string>();
    const client = new ApiClient({
      url: api.url,
      token: WRITE,
      fetch: async (url, init) => {
        const { pathname } = new URL(String(url));
        const pattern = pathname.replace(/\/\d+(?=\/|$)/, '/{id}').replace('/workers/w/', '/workers/{id}/');
        seen.add(`${init?.method} ${pattern}`);
        return fetch(url, init);
      },
    });
    const [id, other] = (await client.create([{ description: 'a' }, { description: 'b', delay_ms: 60_000 }])) as [
      number,
      number,
    ];
    expect(await client.me()).toMatchObject({ role: 'write' });
    expect((await client.issues({ status: ['pending'], limit: 1, summary: true })).items).toHaveLength(1);
    expect((await client.change(id, { priority: 4 })).priority).toBe(4);
    await client.assign(id, 'w');
    expect((await client.issue(id)).assigned_worker_id).toBe('w');
    expect(await client.attempts(id)).toEqual([]);
    expect(await client.retry(other)).toEqual({ status: 'pending', retried: 'now' });
    expect(await client.cancel(id)).toMatchObject({ state: 'cancelled' });
    expect(await client.cancelAll([other])).toEqual({ done: [other], refused: [] });
    expect(await client.retryAll([other])).toEqual({ done: [other], refused: [] });
    expect((await client.output(await ended())).text).toBe('hi');
    expect((await client.workers()).map((worker) => worker.id)).toEqual(['w']);
    await client.pause('w');
    await client.resume();
    expect(await client.pauses()).toEqual({ everybody: false, workers: [] });
    await client.pause();
    await client.resume('w');
    await client.resume();
    await client.stats();
    await client.history(5);
    await client.delete(id);
    for await (const _ of client.issueEvents(await ended())) break;
    const stop = new AbortController();
    for await (const _ of client.events({ signal: stop.signal, onState: () => stop.abort() })) break;
    await client.login(READ);
    await client.logout();
    const known = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    );
    expect([...seen].filter((one) => !known.includes(one))).toEqual([]);
    // What is for others: health, metrics and the link.
    expect(known.filter((one) => /\/api\//.test(one) && !one.startsWith('HEAD') && !seen.has(one))).toEqual([]);
  });

  test('says what was refused in the words of the server', async () => {
    const client = new ApiClient({ url: api.url, token: READ });
    await expect(client.create([{ description: 'x' }])).rejects.toMatchObject({ status: 403, name: 'ApiError' });
    const gone = new ApiClient({ url: 'http://127.0.0.1:9', token: READ });
    await expect(gone.me()).rejects.toMatchObject({ status: 0 });
  });
});

afterAll(() => walked.clear());

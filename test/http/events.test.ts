/** Streams of events: each event once, whatever is cut, restarted or slow. */
import { connect as connectSocket } from 'node:net';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { ApiClient, type IssueEvent } from '../../src/http/api-client.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { until } from '../support/until.js';
import { serveApi, type TestApi, WRITE } from './api.js';

let database: TestDatabase;
let api: TestApi;
let client: ApiClient;

beforeAll(async () => {
  database = await createTestDatabase();
  api = await serveApi(database);
  client = new ApiClient({ url: api.url, token: WRITE });
});

const readers: AbortController[] = [];
afterEach(() => {
  for (const reader of readers.splice(0)) reader.abort();
});

/** Collects what a stream gives. */
function collect(stream: (signal: AbortSignal) => AsyncIterable<IssueEvent>) {
  const stop = new AbortController();
  readers.push(stop);
  const events: IssueEvent[] = [];
  const ended = (async () => {
    for await (const event of stream(stop.signal)) events.push(event);
  })();
  return { events, ended, stop: () => stop.abort() };
}

/** Changes that tell an event each: `assigned`. */
async function assign(id: number, times: number): Promise<void> {
  for (let i = 0; i < times; i++) await client.assign(id, `w-${i}`);
}

const seqs = (events: readonly IssueEvent[]) => events.map(({ seq }) => seq);

describe('the stream of one issue', () => {
  test('gives what was before, what comes, and its end', async () => {
    const [id] = (await client.create([{ description: 'x' }])) as [number];
    await assign(id, 2);
    const reader = collect((signal) => client.issueEvents(id, { signal }));
    await until(() => reader.events.length === 3);
    await client.cancel(id);
    await reader.ended;
    expect(reader.events.map(({ kind }) => kind)).toEqual(['queued', 'assigned', 'assigned', 'cancelled']);
    expect(reader.events[1]).toMatchObject({ issue_id: id, seq: 1, data: { worker: 'w-0' } });
  });

  test('of an ended issue is told again and closes', async () => {
    const [id] = (await client.create([{ description: 'x' }])) as [number];
    await client.cancel(id);
    const answer = await fetch(`${api.url}/api/issues/${id}/events`, { headers: { authorization: `Bearer ${WRITE}` } });
    expect(answer.headers.get('content-type')).toContain('text/event-stream');
    expect(answer.headers.get('content-security-policy')).toContain("default-src 'none'");
    const text = await answer.text();
    expect(text).toMatch(
      /^: open\n\nid: 0\nevent: queued\ndata: \{.*\}\n\nid: 1\nevent: cancelled\ndata: .*\n\nevent: end\n/,
    );
  });

  test('goes on after Last-Event-ID, also on another server', async () => {
    const [id] = (await client.create([{ description: 'x' }])) as [number];
    await assign(id, 6);
    await client.cancel(id);
    const other = await serveApi(database);
    const answer = await fetch(`${other.url}/api/issues/${id}/events`, {
      headers: { authorization: `Bearer ${WRITE}`, 'last-event-id': '4' },
    });
    expect([...(await answer.text()).matchAll(/^id: (\d+)$/gm)].map(([, seq]) => Number(seq))).toEqual([5, 6, 7]);
  });

  test('is a page of JSON where that is asked for', async () => {
    const [id] = (await client.create([{ description: 'x' }])) as [number];
    await assign(id, 2);
    const headers = { accept: 'application/json' };
    const { body } = await api.ask('GET', `/api/issues/${id}/events?after=0`, { headers });
    expect(body).toMatchObject({ items: [{ seq: 1, kind: 'assigned' }, { seq: 2 }], over: false });
  });

  test('is of the kinds and the attempt that are asked for, as a stream and as a page', async () => {
    const [id] = (await client.create([{ description: 'x' }])) as [number];
    await database.sql`insert into cape_events (issue_id, seq, attempt, kind, data) values
      (${id}, 1, 1, 'started', null), (${id}, 2, 1, 'output', '{"text": "old"}'), (${id}, 3, 2, 'started', null),
      (${id}, 4, 2, 'output', '{"text": "new"}'), (${id}, 5, 2, 'progress', '{}')`;
    await database.sql`update cape_issues set events = 5 where id = ${id}`;
    await client.cancel(id);
    const page = async (query: string) => {
      const headers = { accept: 'application/json' };
      const { body } = await api.ask('GET', `/api/issues/${id}/events?${query}`, { headers });
      return { seqs: seqs(body.items), over: body.over };
    };
    expect(await page('kinds=output')).toEqual({ seqs: [2, 4], over: true });
    expect(await page('kinds=output&limit=1')).toEqual({ seqs: [2], over: false });
    expect(await page('kinds=output,started&attempt=2')).toEqual({ seqs: [3, 4], over: true });
    expect(await page('kinds=queued')).toEqual({ seqs: [0], over: true });
    const { text } = await api.ask('GET', `/api/issues/${id}/events?kinds=output&attempt=2`);
    expect(text).toMatch(/^: open\n\nid: 4\nevent: output\ndata: .*\n\nevent: end\n/);
  });

  test('of an issue that is not there is a 404, and a wrong place a 400', async () => {
    expect((await api.ask('GET', '/api/issues/999999/events')).status).toBe(404);
    const headers = { 'last-event-id': 'x' };
    const [id] = (await client.create([{ description: 'x' }])) as [number];
    expect((await api.ask('GET', `/api/issues/${id}/events`, { headers })).status).toBe(400);
    expect((await api.ask('GET', '/api/events?after=7')).status).toBe(400);
    expect((await api.ask('GET', '/api/events?kinds=nothing')).status).toBe(400);
  });
});

test('a stream has no HEAD, which would never be answered', async () => {
  const [id] = (await client.create([{ description: 'x' }])) as [number];
  for (const path of [`/api/issues/${id}/events`, '/api/events'])
    expect((await api.ask('HEAD', path)).status, path).toBe(405);
});

describe('the stream of all', () => {
  test('tells of every issue, each event once, without output unless asked for', async () => {
    const reader = collect((signal) => client.events({ signal }));
    let pickyIsOpen = false;
    const onState = () => {
      pickyIsOpen = true;
    };
    const picky = collect((signal) => client.events({ signal, onState, kinds: ['cancelled'] }));
    const ids = await client.create([{ description: 'a' }, { description: 'b' }]);
    // The stream begins when it has answered: one that is told before is missed, so it is told until it is seen.
    await until(async () => {
      await assign(ids[0] as number, 1);
      return reader.events.length > 0 && pickyIsOpen;
    });
    for (const id of ids) await client.cancel(id);
    // While an older transaction runs on the server, "now" is before its end: what other tests did may be told, too.
    const ends = ({ events }: typeof picky) =>
      events.filter(({ kind, issue_id }) => kind === 'cancelled' && ids.includes(issue_id));
    await until(() => ends(picky).length === 2);
    await until(() => ends(reader).length === 2);
    expect(new Set(reader.events.map(({ cursor }) => cursor)).size).toBe(reader.events.length);
    expect(picky.events.every(({ kind }) => kind === 'cancelled')).toBe(true);
  });

  test('is taken up where it broke off when the server is started again', async () => {
    const first = await serveApi(database);
    const port = Number(new URL(first.url).port);
    const states: string[] = [];
    const own = new ApiClient({ url: first.url, token: WRITE });
    const reader = collect((signal) => own.events({ signal, onState: (state) => states.push(state) }));
    await until(() => states.includes('open'));
    const [id] = (await client.create([{ description: 'x' }])) as [number];
    await assign(id, 4);
    await until(() => reader.events.length === 4);
    const before = performance.now();
    await first.server.close();
    expect(performance.now() - before).toBeLessThan(5000); // measured: some 10 ms
    await assign(id, 4);
    await until(() => states.includes('lost'));
    await serveApi(database, { port });
    await assign(id, 2);
    await until(() => reader.events.length >= 10);
    expect(seqs(reader.events)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  });

  test('beats, so that silence means that the connection is dead', async () => {
    const own = await serveApi(database, { streams: { beatMs: 50 } });
    const answer = await fetch(`${own.url}/api/events`, { headers: { authorization: `Bearer ${WRITE}` } });
    const reader = answer.body!.pipeThrough(new TextDecoderStream() as never).getReader();
    let text = '';
    while (!/: beat\n\n: beat\n/.test(text)) text += (await reader.read()).value;
    expect(text).toMatch(/^: open\n\nid: \d+\.0\.0\n\n/);
    await reader.cancel();
  });

  test('ends where the session that it was opened with is logged out', async () => {
    const own = await serveApi(database, { streams: { beatMs: 50 } });
    const login = await own.ask('POST', '/api/login', {
      token: null,
      body: { token: WRITE },
      headers: { 'x-cape-request': '1' },
    });
    const headers = { cookie: login.headers.getSetCookie()[0]!.split(';')[0]!, 'x-cape-request': '1' };
    const stream = await fetch(`${own.url}/api/events`, { headers });
    await own.ask('POST', '/api/logout', { token: null, headers });
    await stream.text();
  });
});

describe('a reader that does not read', () => {
  test('is dropped, and costs no memory meanwhile', async () => {
    const own = await serveApi(database, { streams: { stalledMs: 300 } });
    const [id] = (await client.create([{ description: 'much' }])) as [number];
    // 64 MB of output: more than the socket's buffers hold.
    await database.sql`insert into cape_events (issue_id, seq, attempt, kind, data)
      select ${id}, n, 1, 'output', jsonb_build_object('offset', n * 100000, 'text', repeat('x', 100000))
        from generate_series(1, 640) n`;
    await database.sql`update cape_issues set events = 640 where id = ${id}`;
    const socket = connectSocket(Number(new URL(own.url).port), '127.0.0.1');
    const closed = new Promise((resolve) => socket.on('close', resolve));
    socket.on('error', () => {});
    socket.pause();
    socket.write(`GET /api/issues/${id}/events HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${WRITE}\r\n\r\n`);
    await until(() => own.server.streams() === 1);
    await until(() => own.server.streams() === 0, { what: 'the stream to be dropped' });
    let bytes = 0;
    socket.on('data', (chunk) => {
      bytes += chunk.length;
    });
    socket.resume();
    await closed;
    expect(bytes).toBeLessThan(32_000_000);
    // One that reads gets all of it.
    const reader = collect((signal) => client.issueEvents(id, { signal }));
    await until(() => reader.events.length === 641);
  });
});

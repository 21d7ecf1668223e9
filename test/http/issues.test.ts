/** What programs do to issues over HTTP. */
import { beforeAll, describe, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { issuesOf } from '../support/issues.js';
import { until } from '../support/until.js';
import { serveApi, type TestApi } from './api.js';

let database: TestDatabase;
let api: TestApi;
let issues: ReturnType<typeof issuesOf>;

beforeAll(async () => {
  database = await createTestDatabase();
  api = await serveApi(database);
  issues = issuesOf(database.sql);
});

async function added(body: object): Promise<number> {
  const answer = await api.ask('POST', '/api/issues', { body });
  expect(answer.status, answer.text).toBe(201);
  return answer.body.ids[0];
}

describe('a new issue', () => {
  test('is a row with what was given', async () => {
    const id = await added({ description: 'Fix <b>it</b>', priority: 5, worker: 'w-1', max_attempts: 2, key: 'once' });
    expect(await issues.issue(id)).toMatchObject({
      description: 'Fix <b>it</b>',
      priority: 5,
      assigned_worker_id: 'w-1',
      max_attempts: 2,
      key: 'once',
      status: 'pending',
    });
    expect(await added({ description: 'another', key: 'once' })).toBe(id);
  });

  test('may come with others, all or none, and the ids keep their order', async () => {
    const many = Array.from({ length: 1000 }, (_, place) => ({ description: `number ${place}` }));
    const { status, body } = await api.ask('POST', '/api/issues', { body: { issues: many } });
    expect(status).toBe(201);
    expect((await issues.issue(body.ids[7])).description).toBe('number 7');
    const [{ count }] = (await database.sql`select count(*)::int from cape_issues`) as unknown as [{ count: number }];
    const wrong = await api.ask('POST', '/api/issues', { body: { issues: [...many.slice(1), { description: '' }] } });
    expect(wrong.status).toBe(400);
    const tooMany = await api.ask('POST', '/api/issues', { body: { issues: [...many, many[0]] } });
    expect(tooMany.status).toBe(400);
    expect(await database.sql`select count(*)::int from cape_issues`).toEqual([{ count }]);
  });

  test.each([
    [{ description: 'x', priority: 40_000 }, 'priority'],
    [{ description: 'x', prio: 1 }, 'prio'],
    [{ description: 'x', run_at: 'tomorrow' }, 'run_at'],
    [{ description: 'x', worker: '../w' }, 'worker'],
    [{ description: 'a\0b' }, 'NUL'],
    [{ description: 'x', run_at: '2030-01-01T00:00:00Z', delay_ms: 5 }, 'delay_ms'],
    [{}, 'description'],
    [[], 'body'],
  ])('is refused where %j is wrong, in words that name it', async (body, word) => {
    const answer = await api.ask('POST', '/api/issues', { body });
    expect(answer.status).toBe(400);
    expect(answer.headers.get('content-type')).toContain('application/problem+json');
    expect(answer.body).toMatchObject({ type: 'about:blank', title: 'Bad Request', status: 400 });
    expect(answer.body.detail).toContain(word);
  });
});

describe('a list', () => {
  test('is walked page by page to its end, each issue once', async () => {
    const seen: number[] = [];
    let cursor: string | null = '';
    while (cursor !== null) {
      const { body }: { body: { items: { id: number }[]; next: string | null } } = await api.ask(
        'GET',
        `/api/issues?limit=400&summary=true${cursor && `&cursor=${cursor}`}`,
      );
      seen.push(...body.items.map(({ id }) => id));
      cursor = body.next;
    }
    const rows = await database.sql<{ id: number }[]>`select id from cape_issues order by id desc`;
    expect(seen).toEqual(rows.map(({ id }) => id));
  });

  test('ends early where it would be longer than 16 MiB, and goes on', async () => {
    await database.sql`insert into cape_issues (description, assigned_worker_id)
      select repeat(md5(n::text), 32 * 1024) || n, 'long' from generate_series(1, 36) n`;
    const sizes: number[] = [];
    const ids: number[] = [];
    let cursor = '';
    do {
      const { text, body } = await api.ask('GET', `/api/issues?worker=long&limit=1000${cursor}`);
      sizes.push(text.length);
      ids.push(...body.items.map(({ id }: { id: number }) => id));
      expect(body.complete).toBe(body.next === null);
      cursor = body.next === null ? '' : `&cursor=${body.next}`;
    } while (cursor !== '');
    expect(Math.max(...sizes)).toBeLessThan(17 * 1024 * 1024);
    expect(sizes).toHaveLength(3);
    expect(ids).toHaveLength(36);
    expect(ids).toEqual([...new Set(ids)].sort((a, b) => b - a));
    const short = await api.ask('GET', '/api/issues?worker=long&limit=1000&summary=true');
    expect(short.body.items).toHaveLength(36);
    await database.sql`delete from cape_issues where assigned_worker_id = 'long'`;
  });

  test('filters by status, worker and text, and cuts a summary', async () => {
    const id = await added({ description: `needle ${'y'.repeat(400)}`, worker: 'w-list' });
    const found = await api.ask('GET', '/api/issues?status=pending,failed&worker=w-list&search=NEEDLE&summary=true');
    expect(found.body.items).toMatchObject([{ id, description_cut: true }]);
    expect(found.body.items[0].description).toHaveLength(300);
    expect(found.body.items[0]).not.toHaveProperty('result');
    expect((await api.ask('GET', '/api/issues?status=completed&worker=w-list')).body.items).toEqual([]);
  });

  test.each(['status=lost', 'limit=0', 'limit=5000', 'cursor=x', 'colour=red'])('refuses ?%s', async (query) => {
    expect((await api.ask('GET', `/api/issues?${query}`)).status).toBe(400);
  });
});

describe('one issue', () => {
  test('is shown with its attempts, and times as text', async () => {
    const id = await added({ description: 'look at me' });
    const { body } = await api.ask('GET', `/api/issues/${id}`);
    expect(body).toMatchObject({ id, description: 'look at me', attempts: [], progress: null });
    expect(new Date(body.created_at).toISOString()).toBe(body.created_at);
  });

  test('parked for good by hand says so', async () => {
    const id = await added({ description: 'never' });
    await database.sql`update cape_issues set run_at = 'infinity' where id = ${id}`;
    expect((await api.ask('GET', `/api/issues/${id}`)).body.run_at).toBe('infinity');
  });

  test('that is not there is a 404, and one that is no id a 400', async () => {
    for (const path of ['/api/issues/999999', '/api/issues/999999/attempts']) {
      expect((await api.ask('GET', path)).status).toBe(404);
    }
    expect((await api.ask('POST', '/api/issues/999999/cancel')).status).toBe(404);
    expect((await api.ask('GET', '/api/issues/7x')).status).toBe(400);
    expect((await api.ask('GET', '/api/issues/99999999999')).status).toBe(400);
  });

  test('is changed while it is pending, and only what was named', async () => {
    const id = await added({ description: 'change me', priority: 1, max_attempts: 4 });
    const { body, status } = await api.ask('PATCH', `/api/issues/${id}`, {
      body: { priority: 9, worker: 'w-2', run_at: '2099-01-01T00:00:00Z', max_attempts: null },
    });
    expect(status).toBe(200);
    expect(body).toMatchObject({
      priority: 9,
      assigned_worker_id: 'w-2',
      target_worker_id: 'w-2',
      run_at: '2099-01-01T00:00:00.000Z',
      max_attempts: null,
      description: 'change me',
    });
    const later = await api.ask('PATCH', `/api/issues/${id}`, { body: { run_at: null } });
    expect(later.body).toMatchObject({ run_at: null, priority: 9 });
    expect((await api.ask('PATCH', `/api/issues/${id}`, { body: {} })).status).toBe(400);
    await api.ask('POST', `/api/issues/${id}/cancel`);
    const late = await api.ask('PATCH', `/api/issues/${id}`, { body: { priority: 1 } });
    expect(late.status).toBe(409);
    expect(late.body.detail).toContain('only pending issues');
  });

  test('is cancelled, retried, assigned and deleted', async () => {
    const id = await added({ description: 'round trip' });
    expect((await api.ask('POST', `/api/issues/${id}/assign`, { body: { worker: 'w-3' } })).body).toEqual({
      status: 'pending',
    });
    expect((await api.ask('POST', `/api/issues/${id}/cancel`)).body).toMatchObject({ status: 'cancelled' });
    expect((await api.ask('POST', `/api/issues/${id}/cancel`)).status).toBe(409);
    expect((await api.ask('POST', `/api/issues/${id}/retry`)).body).toEqual({ status: 'pending', retried: 'again' });
    expect((await api.ask('DELETE', `/api/issues/${id}`)).body).toEqual({ status: 'deleted' });
    expect((await api.ask('GET', `/api/issues/${id}`)).status).toBe(404);
  });

  test('several are cancelled and retried in one call, each refusal with its reason', async () => {
    const ids = [await added({ description: 'a' }), await added({ description: 'b' })];
    const cancelled = await api.ask('POST', '/api/issues/cancel', { body: { ids: [...ids, 999_999] } });
    expect(cancelled.body).toMatchObject({ done: ids, refused: [{ id: 999_999 }] });
    expect((await api.ask('POST', '/api/issues/retry', { body: { ids } })).body).toEqual({ done: ids, refused: [] });
  });
});

test('a request that is under way when the server ends is answered', async () => {
  const own = await serveApi(database);
  const { asked, ended } = await database.sql.begin(async (sql) => {
    await sql`lock table cape_pauses in access exclusive mode`;
    const asked = own.ask('GET', '/api/pauses');
    await until(async () => {
      const waiting = await sql`select from pg_locks where not granted and relation = 'cape_pauses'::regclass`;
      return waiting.length > 0;
    });
    return { asked: [asked], ended: [own.server.close()] };
  });
  expect((await asked[0])?.status).toBe(200);
  await ended[0];
});

test('workers, their issues, pauses and numbers', async () => {
  await database.sql`insert into cape_workers (id, instance, host, machine, pid, pid_start, version, slots)
                     values ('w-9', gen_random_uuid(), 'here', 'm', 1, '1', '0.1.0', 2)`;
  const running = await added({ description: 'r'.repeat(500) });
  await database.sql`insert into cape_leases (issue_id, token, attempt, worker_id, instance, lease_until)
    select ${running}, gen_random_uuid(), 1, 'w-9', instance, now() + interval '1 hour' from cape_workers where id = 'w-9'`;
  const { body } = await api.ask('GET', '/api/workers');
  expect(body.items).toMatchObject([
    { id: 'w-9', state: 'running', running: 1, issues: [{ id: running, attempt: 1 }] },
  ]);
  expect(body.items[0].issues[0].description).toHaveLength(200);
  expect((await api.ask('POST', '/api/workers/w-9/pause')).body).toEqual({ everybody: false, workers: ['w-9'] });
  expect((await api.ask('GET', '/api/workers')).body.items[0].state).toBe('paused');
  expect((await api.ask('POST', '/api/pause')).body).toEqual({ everybody: true, workers: ['w-9'] });
  expect((await api.ask('POST', '/api/resume')).body).toEqual({ everybody: false, workers: [] });
  const stats = (await api.ask('GET', '/api/stats')).body;
  expect(stats).toMatchObject({ failed: 0, estimated: [] });
  expect(stats.pending).toBeGreaterThan(1000);
});

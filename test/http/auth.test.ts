/** Who may do what, and from where. */
import { beforeAll, describe, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { READ, rawRequest, serveApi, type TestApi, TOKENS, WRITE } from './api.js';

let database: TestDatabase;
let api: TestApi;

beforeAll(async () => {
  database = await createTestDatabase();
  api = await serveApi(database);
});

const ISSUE = { description: 'x' };

describe('a token', () => {
  test('is needed everywhere but for health and the login', async () => {
    for (const path of ['/api/issues', '/api/workers', '/api/stats', '/api/me', '/openapi.json', '/api/nothing']) {
      const answer = await api.ask('GET', path, { token: null });
      expect(answer.status, path).toBe(401);
      expect(answer.headers.get('www-authenticate')).toContain('Bearer');
    }
    for (const path of ['/healthz', '/readyz']) expect((await api.ask('GET', path, { token: null })).status).toBe(200);
  });

  test.each(['wrong-token-0123456789', WRITE.slice(1), `${WRITE}x`, ''])(
    'that is wrong opens nothing: "%s"',
    async (token) => {
      expect((await api.ask('GET', '/api/me', { token })).status).toBe(401);
    },
  );

  test('that may read can not write', async () => {
    expect((await api.ask('GET', '/api/me', { token: READ })).body).toMatchObject({ role: 'read' });
    const answer = await api.ask('POST', '/api/issues', { body: ISSUE, token: READ });
    expect(answer.status).toBe(403);
    expect(await database.sql`select from cape_issues`).toHaveLength(0);
  });

  test('is none in the address', async () => {
    expect((await api.ask('GET', `/api/me?token=${WRITE}`, { token: null })).status).toBe(401);
  });
});

async function login(token = WRITE, at = api): Promise<string> {
  const answer = await at.ask('POST', '/api/login', {
    token: null,
    body: { token },
    headers: { 'x-cape-request': '1' },
  });
  expect(answer.status, answer.text).toBe(200);
  return answer.headers.getSetCookie()[0] as string;
}

describe('a browser', () => {
  test('gets a cookie that no script and no other site can use, and that is not the token', async () => {
    const cookie = await login();
    expect(cookie).toMatch(/; HttpOnly/);
    expect(cookie).toMatch(/; SameSite=Strict/);
    expect(cookie).not.toContain(WRITE);
  });

  test('reads with it, and writes with it and the header', async () => {
    const cookie = (await login()).split(';')[0] as string;
    expect((await api.ask('GET', '/api/me', { token: null, headers: { cookie } })).body.role).toBe('write');
    const bare = await api.ask('POST', '/api/issues', { token: null, body: ISSUE, headers: { cookie } });
    expect(bare.status).toBe(403);
    const headers = { cookie, 'x-cape-request': '1' };
    expect((await api.ask('POST', '/api/issues', { token: null, body: ISSUE, headers })).status).toBe(201);
  });

  test('that shows a page of another origin changes nothing, whatever headers it could send', async () => {
    const cookie = (await login()).split(';')[0] as string;
    for (const foreign of [
      { origin: 'http://evil.example' },
      { origin: 'null' },
      { 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': 'same-site' },
    ] as Record<string, string>[]) {
      const headers = { cookie, 'x-cape-request': '1', ...foreign };
      const answer = await api.ask('POST', '/api/issues', { token: null, body: ISSUE, headers });
      expect(answer.status, JSON.stringify(foreign)).toBe(403);
    }
    const own = { cookie, 'x-cape-request': '1', origin: api.url, 'sec-fetch-site': 'same-origin' };
    expect((await api.ask('POST', '/api/issues', { token: null, body: ISSUE, headers: own })).status).toBe(201);
  });

  test('of a token that may read can not write, and forged cookies open nothing', async () => {
    const cookie = (await login(READ)).split(';')[0] as string;
    const headers = { cookie, 'x-cape-request': '1' };
    expect((await api.ask('POST', '/api/issues', { token: null, body: ISSUE, headers })).status).toBe(403);
    for (const forged of [
      cookie.replace('.read.', '.write.'),
      `${cookie.slice(0, -2)}AA`,
      cookie.replace(/=.*/, '=x'),
    ]) {
      expect((await api.ask('GET', '/api/me', { token: null, headers: { cookie: forged } })).status).toBe(401);
    }
  });

  test('is known behind a proxy that wants a password of its own', async () => {
    const headers = { cookie: await login(), authorization: 'Basic YTpi' };
    expect((await api.ask('GET', '/api/me', { token: null, headers })).status).toBe(200);
    const bare = await api.ask('POST', '/api/issues', { token: null, body: ISSUE, headers });
    expect(bare.status).toBe(403);
  });

  test('is logged out for good', async () => {
    const cookie = (await login()).split(';')[0] as string;
    const headers = { cookie, 'x-cape-request': '1' };
    const answer = await api.ask('POST', '/api/logout', { token: null, headers });
    expect(answer.headers.getSetCookie()[0]).toContain('Max-Age=0');
    expect((await api.ask('GET', '/api/me', { token: null, headers })).status).toBe(401);
  });

  test('stays logged in when the server was started again, and not where its token was taken back', async () => {
    const first = await serveApi(database);
    const port = Number(new URL(first.url).port);
    const cookie = (await login(WRITE, first)).split(';')[0] as string;
    await first.server.close();
    const again = await serveApi(database, { port });
    expect((await again.ask('GET', '/api/me', { token: null, headers: { cookie } })).status).toBe(200);
    await again.server.close();
    const other = await serveApi(database, { port, tokens: [{ role: 'write', token: 'another-token-0123456789' }] });
    expect((await other.ask('GET', '/api/me', { token: null, headers: { cookie } })).status).toBe(401);
  });

  test('is logged out where the token that it has shown is taken back, and not where another is', async () => {
    const leaked = { role: 'write', token: 'leaked-token-0123456789' } as const;
    const [kept, read] = TOKENS;
    const before = await serveApi(database, { tokens: [kept, leaked, read] });
    const answer = await before.ask('POST', '/api/login', {
      token: null,
      body: { token: leaked.token },
      headers: { 'x-cape-request': '1' },
    });
    const headers = { cookie: answer.headers.getSetCookie()[0]!.split(';')[0]! };
    const { port } = new URL(before.url);
    await before.server.close();
    const without = await serveApi(database, { tokens: [kept, read], port: Number(port) });
    expect((await without.ask('GET', '/api/me', { token: null, headers })).status).toBe(401);
    await without.server.close();
    const withIt = await serveApi(database, { tokens: [leaked], port: Number(port) });
    expect((await withIt.ask('GET', '/api/me', { token: null, headers })).status).toBe(200);
  });

  test('is logged in on two servers of one host at once', async () => {
    const other = await serveApi(database);
    const jar = new Map<string, string>();
    for (const cookie of [await login(), await login(READ, other)]) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(cookie) as unknown as [string, string, string];
      jar.set(name, value);
    }
    const headers = { cookie: [...jar].map(([name, value]) => `${name}=${value}`).join('; ') };
    expect((await api.ask('GET', '/api/me', { token: null, headers })).body).toMatchObject({ role: 'write' });
    expect((await other.ask('GET', '/api/me', { token: null, headers })).body).toMatchObject({ role: 'read' });
  });

  test('logs in by the printed link, once', async () => {
    const own = await serveApi(database, { tokens: undefined });
    const path = own.server.loginUrl!.slice(own.url.length);
    expect((await own.ask('HEAD', path, { token: null })).status).not.toBe(303);
    const first = await own.ask('GET', path, { token: null });
    expect(first.status).toBe(303);
    // Relative, for a page below the path of a proxy.
    expect(first.headers.get('location')).toBe('./');
    const cookie = first.headers.getSetCookie()[0]!.split(';')[0]!;
    expect((await own.ask('GET', '/api/me', { token: null, headers: { cookie } })).body.role).toBe('write');
    const second = await own.ask('GET', path, { token: null });
    expect(second.status).toBe(401);
    expect(second.headers.getSetCookie()).toEqual([]);
  });
});

describe('the address', () => {
  test.each(['evil.example', 'evil.example:7070', 'localhost.evil.example', '127.0.0.1@evil.example', ':'])(
    'Host: "%s" is none of ours',
    async (host) => {
      const headers = { host, authorization: `Bearer ${WRITE}` };
      expect((await rawRequest(api.url, { path: '/api/me', headers })).status).toBe(421);
    },
  );

  test.each(['localhost', 'LOCALHOST:80', '127.0.0.1:1', '[::1]:7070'])('Host: %s is', async (host) => {
    const headers = { host, authorization: `Bearer ${WRITE}` };
    expect((await rawRequest(api.url, { path: '/api/me', headers })).status).toBe(200);
  });

  test('may be one that was named', async () => {
    const named = await serveApi(database, { hosts: ['cape.example'] });
    const headers = { host: 'cape.example', authorization: `Bearer ${WRITE}` };
    expect((await rawRequest(named.url, { path: '/api/me', headers })).status).toBe(200);
  });

  test('of others needs tokens', async () => {
    await expect(serveApi(database, { host: '0.0.0.0', tokens: undefined })).rejects.toThrow(/CAPE_API_TOKENS/);
  });
});

describe('too much', () => {
  test('of a body is 413', async () => {
    const body = { description: 'x'.repeat(17 * 1024 * 1024) };
    expect((await api.ask('POST', '/api/issues', { body })).status).toBe(413);
  });

  test('of a login is 413 long before that', async () => {
    const headers = { 'x-cape-request': '1' };
    const body = `${' '.repeat(5000)}{"token":"${WRITE}"}`;
    expect((await api.ask('POST', '/api/login', { token: null, body, headers })).status).toBe(413);
  });

  test('of requests is 429, and says when to come back', async () => {
    const slow = await serveApi(database, { rate: 3 });
    const answers = [];
    for (let i = 0; i < 5; i++) answers.push(await slow.ask('GET', '/api/me'));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 429, 429]);
    expect(Number(answers[4]!.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(answers[4]!.body).toMatchObject({ status: 429, title: 'Too Many Requests' });
  });

  test('of strangers takes nothing from those who have a token, nor from health and the login', async () => {
    const slow = await serveApi(database, { rate: 3 });
    const strangers = [];
    for (let i = 0; i < 5; i++) strangers.push((await slow.ask('GET', '/', { token: null })).status);
    expect(strangers.slice(3)).toEqual([429, 429]);
    for (const path of ['/healthz', '/readyz', '/healthz', '/readyz'])
      expect((await slow.ask('GET', path, { token: null })).status, path).toBe(200);
    const cookie = await login(WRITE, slow);
    expect((await slow.ask('GET', '/api/me', { token: null, headers: { cookie } })).status).toBe(200);
    expect((await slow.ask('GET', '/api/me')).status).toBe(200);
  });

  test('of wrong tokens is 429', async () => {
    const own = await serveApi(database);
    const tries = [];
    for (let i = 0; i < 35; i++)
      tries.push((await own.ask('GET', '/api/me', { token: `wrong-${i}-012345678` })).status);
    expect(tries.slice(0, 30)).toEqual(Array(30).fill(401));
    expect(tries.at(-1)).toBe(429);
  });
});

describe('a request that is no good', () => {
  test('another method is 405, and says which', async () => {
    const answer = await api.ask('PUT', '/api/issues/1', { body: {} });
    expect(answer.status).toBe(405);
    expect(answer.headers.get('allow')).toContain('PATCH');
  });

  test('another path is 404, another type 415, no JSON 400: all of them problems', async () => {
    const nothing = await api.ask('GET', '/api/nothing');
    const xml = await api.ask('POST', '/api/issues', { body: '<a/>', headers: { 'content-type': 'text/xml' } });
    const broken = await api.ask('POST', '/api/issues', { body: '{"description":' });
    const url = await api.ask('GET', '/api/%E0%A4%A');
    expect([nothing.status, xml.status, broken.status, url.status]).toEqual([404, 415, 400, 400]);
    for (const answer of [nothing, xml, broken, url]) {
      expect(answer.headers.get('content-type')).toContain('application/problem+json');
      expect(answer.body).toMatchObject({ type: 'about:blank', status: answer.status });
    }
  });

  test('every answer keeps the page and its data to itself', async () => {
    const { headers } = await api.ask('GET', '/api/me');
    expect(headers.get('cache-control')).toBe('no-store');
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('content-security-policy')).toContain("script-src 'self'");
    expect(headers.get('content-security-policy')).not.toContain('unsafe');
    expect(headers.get('access-control-allow-origin')).toBeNull();
  });
});

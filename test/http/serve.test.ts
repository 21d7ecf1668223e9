/** `serve` and `run --http` as people start them, and commands that ask them. */
import { createServer } from 'node:net';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { append } from '../../src/events/append.js';
import { settle } from '../../src/queue/settle.js';
import { cli, emptyFolder, type Running, start } from '../cli/run-cli.js';
import { actor, claimAs, done, insert } from '../queue/actors.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { issuesOf } from '../support/issues.js';
import { until } from '../support/until.js';
import { READ, WRITE } from './api.js';

let database: TestDatabase;
const running: Running[] = [];

beforeAll(async () => {
  database = await createTestDatabase();
});
afterEach(async () => {
  for (const one of running.splice(0)) {
    one.process.kill('SIGKILL');
    await one.ended;
  }
});

const TOKENS = `write:${WRITE},read:${READ}`;

/** Starts a server and waits until it listens. */
async function serve(args: readonly string[] = ['serve', '--port', '0'], env: Record<string, string> = {}) {
  const server = start(args, { env: { DATABASE_URL: database.url, ...env } });
  running.push(server);
  const [, url] = await until(() => {
    const { stdout, stderr } = server.output();
    if (server.process.exitCode !== null) throw new Error(`left: ${stdout}${stderr}`);
    return /http: (http:\/\/\S+) \(API/.exec(stdout);
  });
  return { ...server, url: url as string };
}

const me = (url: string, headers: Record<string, string>) => fetch(`${url}/api/me`, { headers });

describe('serve', () => {
  test('prints a link that logs in once, and no token', async () => {
    const server = await serve();
    const link = (await until(() => /http:\S+once=\S+/.exec(server.output().stdout)))[0];
    const first = await fetch(link, { redirect: 'manual' });
    expect(first.status).toBe(303);
    const cookie = first.headers.getSetCookie()[0]!.split(';')[0]!;
    expect((await me(server.url, { cookie })).status).toBe(200);
    expect((await fetch(link, { redirect: 'manual' })).status).toBe(401);
  });

  test('with tokens prints no link, and nothing of them whatever is asked', async () => {
    const server = await serve(undefined, { CAPE_API_TOKENS: TOKENS });
    expect((await me(server.url, { authorization: `Bearer ${READ}` })).status).toBe(200);
    await fetch(`${server.url}/api/issues?token=${WRITE}`, { headers: { authorization: `Bearer ${WRITE}` } });
    await fetch(`${server.url}/api/issues`, {
      method: 'POST',
      body: '{',
      headers: { authorization: `Bearer ${WRITE}` },
    });
    server.process.kill('SIGTERM');
    const { code, stdout, stderr } = await server.ended;
    expect(code).toBe(0);
    expect(stdout + stderr).not.toMatch(/once=|-token-0123/);
    expect((await cli(['config'], { env: { CAPE_API_TOKENS: TOKENS } })).stdout).not.toMatch(/-token-0123/);
  });

  test('that others could reach starts only with tokens', async () => {
    const open = await cli(['serve', '--host', '0.0.0.0', '--port', '0'], { env: { DATABASE_URL: database.url } });
    expect([open.code, open.stderr]).toEqual([78, expect.stringContaining('CAPE_API_TOKENS is not set')]);
    const short = await cli(['serve'], { env: { DATABASE_URL: database.url, CAPE_API_TOKENS: 'write:short' } });
    expect([short.code, short.stderr]).toEqual([
      78,
      expect.stringMatching(/CAPE_API_TOKENS: got a value; must be read:<token>/),
    ]);
  });

  test('says where another program listens already', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await until(() => other.listening);
    const { port } = other.address() as { port: number };
    const { code, stderr } = await cli(['serve', '--port', String(port)], { env: { DATABASE_URL: database.url } });
    other.close();
    expect([code, stderr]).toEqual([78, expect.stringContaining('another program listens there')]);
  });

  test('leaves within a second while streams are read', async () => {
    const server = await serve(undefined, { CAPE_API_TOKENS: TOKENS });
    const headers = { authorization: `Bearer ${READ}` };
    const streams = await Promise.all([1, 2, 3].map(() => fetch(`${server.url}/api/events`, { headers })));
    const asked = performance.now();
    server.process.kill('SIGTERM');
    expect((await server.ended).code).toBe(0);
    expect(performance.now() - asked).toBeLessThan(5000); // measured: 0.2 s, with the stop of an embedded Postgres
    await Promise.all(streams.map((stream) => stream.text().catch(() => {})));
  });
});

describe('run --http', () => {
  test('serves what its worker does, and counts it', async () => {
    const folder = emptyFolder();
    const args = [
      'run',
      '--worker-id',
      'w-http',
      '--http',
      '127.0.0.1:0',
      '--command',
      'echo done {id}',
      '--log-dir',
      folder,
    ];
    const server = await serve(args, { CAPE_API_TOKENS: TOKENS });
    const headers = { authorization: `Bearer ${WRITE}` };
    const id = await issuesOf(database.sql).add('through and through');
    await issuesOf(database.sql).completed(id);
    const output = await fetch(`${server.url}/api/issues/${id}/output`, { headers });
    expect([await output.text(), output.headers.get('x-cape-output')]).toEqual([`done ${id}\n`, 'file']);
    const stream = await (await fetch(`${server.url}/api/issues/${id}/events`, { headers })).text();
    expect(
      [...stream.matchAll(/^event: (\w+)$/gm)]
        .map(([, kind]) => kind)
        .filter((kind) => kind !== 'output' && kind !== 'result'),
    ).toEqual(['queued', 'started', 'completed', 'end']);
    const metrics = await (await fetch(`${server.url}/metrics`, { headers })).text();
    expect(metrics).toMatch(/cape_claims_total\S* 1|cape_attempts_total\{.*succeeded.*\} 1/);
    server.process.kill('SIGTERM');
    expect((await server.ended).code).toBe(0);
  });

  test('does not start where the address is taken', async () => {
    const { url } = await serve();
    const args = ['run', '--worker-id', 'w-taken', '--http', new URL(url).host, '--command', 'true'];
    const { code, stderr } = await cli(args, { env: { DATABASE_URL: database.url } });
    expect([code, stderr]).toEqual([78, expect.stringContaining('another program listens there')]);
  });
});

describe('a command with --api-url', () => {
  test('does and prints what it does and prints on the database', async () => {
    const { url } = await serve(undefined, { CAPE_API_TOKENS: TOKENS });
    const remote = { CAPE_API_URL: url, CAPE_API_TOKEN: WRITE };
    const local = { DATABASE_URL: database.url };
    const both = async (args: readonly string[]) => {
      const [ours, theirs] = await Promise.all([cli(args, { env: remote }), cli(args, { env: local })]);
      expect(ours.stderr).toBe(theirs.stderr);
      expect(ours.code).toBe(theirs.code);
      expect(ours.stdout.replace(/\d+ ms|\d+\.\d s/g, '_')).toBe(theirs.stdout.replace(/\d+ ms|\d+\.\d s/g, '_'));
      return ours;
    };
    const added = await cli(['issues', 'add', 'by HTTP', '--priority', '4', '--worker', 'w-far', '--run-at', '+10m'], {
      env: remote,
    });
    const id = added.stdout.trim();
    expect([added.code, id]).toEqual([0, expect.stringMatching(/^\d+$/)]);
    await both(['issues', 'list', '--json']);
    await both(['issues', 'show', id, '--json']);
    await both(['issues', 'show', id]);
    await both(['issues', 'list', '--worker', 'w-far', '--status', 'pending', '--json']);
    await both(['workers']);
    await both(['issues', 'logs', id]);
    await both(['issues', 'retry', '999999']);
    await both(['issues', 'show', '999999']);
    for (const args of [
      ['issues', 'assign', id, '--anyone'],
      ['issues', 'cancel', id],
      ['issues', 'retry', id],
      ['issues', 'delete', id],
      ['pause'],
      ['resume'],
      ['status'],
    ]) {
      const { code, stdout } = await cli(args, { env: remote });
      expect([args[1] ?? args[0], code], stdout).toEqual([args[1] ?? args[0], 0]);
    }
  });

  test('follow what an attempt prints on another host, to its end', async () => {
    const { url } = await serve(undefined, { CAPE_API_TOKENS: TOKENS });
    const worker = await actor(database.db, 'w-far');
    await database.sql`update cape_issues set status = 'cancelled' where status = 'pending'`;
    const [id] = (await insert(database.sql, 'far away')) as [number];
    const [claimed] = await claimAs(database.db, worker);
    const print = (text: string, offset: number) =>
      append(database.db, [{ id, token: claimed!.token, kind: 'output', data: { offset, text } }]);
    await print('one\n', 0);
    const following = start(['issues', 'logs', String(id), '--follow', '--api-url', url], {
      env: { CAPE_API_TOKEN: READ },
    });
    running.push(following);
    await until(() => following.output().stdout === 'one\n');
    await print('two\n', 4);
    await until(() => following.output().stdout === 'one\ntwo\n');
    await settle(database.db, [done(claimed!)]);
    expect(await following.ended).toMatchObject({ code: 0, stdout: 'one\ntwo\n', stderr: '' });
  });

  test('waits for the end of an issue', async () => {
    const { url } = await serve(undefined, { CAPE_API_TOKENS: TOKENS });
    const waiting = start(['issues', 'add', 'wait for me', '--wait', '--api-url', url], {
      env: { CAPE_API_TOKEN: WRITE },
    });
    running.push(waiting);
    const id = Number(await until(() => /^(\d+)\n/.exec(waiting.output().stdout)?.[1]));
    await database.sql`update cape_issues set status = 'completed', result = 'the result' where id = ${id}`;
    expect(await waiting.ended).toMatchObject({ code: 0, stdout: `${id}\nthe result\n` });
  });

  test.each([
    [{}, 'set CAPE_API_TOKEN'],
    [{ CAPE_API_TOKEN: READ }, 'may only read'],
  ])('says what token it needs: %j', async (env, words) => {
    const { url } = await serve(undefined, { CAPE_API_TOKENS: TOKENS });
    const { code, stderr } = await cli(['pause', '--api-url', url], { env });
    expect([code, stderr]).toEqual([78, expect.stringContaining(words)]);
  });

  test('says where nobody answers, and what is no address', async () => {
    const away = await cli(['status', '--api-url', 'http://127.0.0.1:9']);
    expect([away.code, away.stderr]).toEqual([69, expect.stringContaining('check CAPE_API_URL')]);
    expect((await cli(['status', '--api-url', 'localhost:7070'])).code).toBe(78);
  });
});

/** The commands without a DATABASE_URL: on a Postgres of the user's own. */
import { chmodSync } from 'node:fs';
import { dirname, join } from 'node:path';
import postgres from 'postgres';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { until } from '../support/until.js';
import { cli, emptyFolder, start } from './run-cli.js';

let env: Record<string, string>;

beforeAll(() => {
  const folder = emptyFolder();
  // As root, Postgres runs as another user, who must get through to its folder.
  chmodSync(dirname(folder), 0o755);
  env = { CAPE_DATA_DIR: join(folder, 'data of mine') };
});

afterAll(() => cli(['db', 'stop', '--force'], { env }));

test('from inside an attempt none is started, and that is said', async () => {
  const { code, stdout, stderr } = await cli(['issues', 'add', 'x'], { env: { ...env, CAPE_ISSUE_ID: '7' } });
  expect({ code, stdout }).toEqual({ code: 69, stdout: '' });
  expect(stderr).toMatch(/^cape-worker: the embedded Postgres .*from within an attempt.*set DATABASE_URL.*\n$/);
});

test('a command makes, migrates, uses and leaves it; what was added is still there for the next', async () => {
  expect((await cli(['db', 'status'], { env })).stdout).toMatch(/^state +absent$/m);
  expect(await cli(['db', 'url'], { env })).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('cape-worker db start'),
  });
  const first = await cli(['issues', 'add', 'first'], { env });
  expect(first).toMatchObject({
    code: 0,
    stdout: '1\n',
    stderr: expect.stringContaining('making a database of Postgres'),
  });
  expect((await cli(['db', 'status'], { env })).stdout).toMatch(/^state +stopped$/m);
});

test('db start leaves it running: its URL serves any client, an attempt may attach, db stop ends it', async () => {
  const started = await cli(['db', 'start'], { env });
  expect(started).toMatchObject({ code: 0, stdout: expect.stringContaining(`running, data in ${env.CAPE_DATA_DIR}`) });
  const url = (await cli(['db', 'url'], { env })).stdout.trim();
  const sql = postgres(url, { max: 1 });
  expect(await sql`select description from cape_issues`).toMatchObject([{ description: 'first' }]);
  await sql.end();

  const status = JSON.parse((await cli(['db', 'status', '--json'], { env })).stdout);
  expect(status).toMatchObject({ state: 'running', dataDir: env.CAPE_DATA_DIR });
  expect(status).not.toHaveProperty('url');

  // Somebody else has to be in, or the one who leaves last stops the server.
  const other = postgres(url, { max: 1 });
  await other`select 1`;
  const inside = await cli(['issues', 'add', 'from an attempt'], { env: { ...env, CAPE_ISSUE_ID: '7' } });
  expect(inside).toMatchObject({ code: 0, stdout: '2\n' });
  expect((await cli(['check', '--command', 'true'], { env })).stdout).toContain('✓ LISTEN');
  const stopped = await cli(['db', 'stop'], { env });
  expect(stopped).toMatchObject({ code: 0, stdout: expect.stringMatching(/^stopped; open connections: 1; who/) });
  await other.end();
  expect(await cli(['db', 'stop'], { env })).toMatchObject({ code: 0, stdout: 'not running\n' });
});

test('a worker runs on it, says where its data is, and starts at once what another terminal adds', async () => {
  const worker = start(['--worker-id', 'alleycat-1', '--command', "sh -c 'exit 0'"], { env });
  await until(
    () =>
      worker
        .output()
        .stdout.includes(`database: embedded, since DATABASE_URL is not set: data in ${env.CAPE_DATA_DIR}`),
    {
      what: 'the place of the data',
    },
  );
  const added = await cli(['issues', 'add', '--wait', 'Fix the login bug'], { env });
  expect(added).toMatchObject({ code: 0, stderr: '' });
  worker.process.kill('SIGTERM');
  expect(await worker.ended).toMatchObject({ code: 0 });
  expect((await cli(['db', 'status'], { env })).stdout).toMatch(/^state +stopped$/m);
});

test('a worker that is told to stop while its database is being made leaves nothing running', async () => {
  const own = { CAPE_DATA_DIR: join(dirname(env.CAPE_DATA_DIR ?? ''), 'data of a stopped one') };
  const worker = start(['--worker-id', 'early-1', '--command', 'true'], { env: own });
  await until(() => worker.output().stdout.includes('making a database of Postgres'), { timeoutMs: 25_000 });
  worker.process.kill('SIGTERM');
  expect(await worker.ended).toMatchObject({ code: 0, stderr: '' });
  expect((await cli(['db', 'status'], { env: own })).stdout).toMatch(/^state +stopped$/m);
});

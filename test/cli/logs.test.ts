/** `issues logs`: files as a worker writes them, here and elsewhere. */
import { randomUUID } from 'node:crypto';
import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { settle } from '../../src/queue/settle.js';
import { actor, claimAs, done, insert } from '../queue/actors.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { until } from '../support/until.js';
import { cli, emptyFolder, start } from './run-cli.js';

let t: TestDatabase;
const logs = (...args: string[]) => cli(['issues', 'logs', ...args], { env: { DATABASE_URL: t.url } });

beforeAll(async () => {
  t = await createTestDatabase();
});

/** An issue with attempts that ended, each with its log. */
async function ended(...attempts: { path: string; host?: string; tail?: string }[]): Promise<string> {
  const [id] = (await insert(t.sql, 'Fix the login bug')) as [number];
  await t.sql`update cape_issues set status = 'failed', attempt = ${attempts.length} where id = ${id}`;
  for (const [i, { path, host = hostname(), tail = '' }] of attempts.entries()) {
    await t.sql`insert into cape_attempts
      (issue_id, attempt, token, worker_id, started_at, outcome, tail, log_path, log_host)
      values (${id}, ${i + 1}, ${randomUUID()}, 'w-1', now(), 'failed', ${tail}, ${path}, ${host})`;
  }
  return String(id);
}

test('prints the file of the latest attempt byte for byte, or of the one asked for', async () => {
  const folder = emptyFolder();
  const paths = ['1.log', '2.log'].map((name) => join(folder, name)) as [string, string];
  writeFileSync(paths[0], 'the first\n');
  writeFileSync(paths[1], 'the \u001b[1msecond\u001b[0m, ünï\n');
  const id = await ended({ path: paths[0] }, { path: paths[1] });
  expect(await logs(id)).toEqual({ code: 0, signal: null, stdout: 'the \u001b[1msecond\u001b[0m, ünï\n', stderr: '' });
  expect(await logs(id, '--attempt', '1')).toMatchObject({ stdout: 'the first\n' });
  expect(await logs(id, '--attempt', '3')).toMatchObject({
    code: 1,
    stderr: `cape-worker: issue ${id}: has no attempt 3; it has 1, 2\n`,
  });
});

test('prints the head and the newest segments in order, and says what was dropped between them', async () => {
  const path = join(emptyFolder(), '1.log');
  writeFileSync(path, 'head|');
  writeFileSync(`${path}.tail-1005`, 'first of the tail|');
  writeFileSync(`${path}.tail-1023`, 'the end\n');
  const { stdout, stderr } = await logs(await ended({ path }));
  expect(stdout).toBe('head|first of the tail|the end\n');
  expect(stderr).toBe('cape-worker: 1000 bytes were dropped here (--output-limit)\n');
});

test('of another host, and of a file that is gone, gives the kept end and says where the file is', async () => {
  const elsewhere = await ended({ path: '/var/log/x/1.log', host: 'far-away', tail: 'its last words' });
  expect(await logs(elsewhere)).toMatchObject({
    code: 0,
    stdout: 'its last words\n',
    stderr: `cape-worker: issue ${elsewhere}, attempt 1: this is the end of the output; the file is /var/log/x/1.log on host far-away\n`,
  });
  const pruned = await ended({ path: join(emptyFolder(), 'pruned.log'), tail: 'kept\n' });
  expect(await logs(pruned)).toMatchObject({
    code: 0,
    stdout: 'kept\n',
    stderr: expect.stringContaining('pruned.log'),
  });
});

test('of an attempt that printed nothing, and so has no file, says just that', async () => {
  const id = await ended({ path: join(emptyFolder(), 'none.log'), tail: '' });
  expect(await logs(id)).toMatchObject({
    code: 0,
    stdout: '',
    stderr: `cape-worker: issue ${id}, attempt 1: it printed nothing\n`,
  });
});

test('of an issue that was never started there is none', async () => {
  const [id] = (await insert(t.sql, 'new')) as [number];
  expect(await logs(String(id))).toMatchObject({
    code: 1,
    stderr: `cape-worker: issue ${id}: has not been started, no output\n`,
  });
  await t.sql`delete from cape_issues where id = ${id}`;
});

test('--follow waits for the start, prints what is written as it comes, and ends with the attempt', async () => {
  const logDir = emptyFolder();
  const worker = await actor(t.db);
  await t.sql`update cape_workers set host = ${hostname()}, log_dir = ${logDir} where id = ${worker.id}`;
  const [id] = (await insert(t.sql, 'to be followed')) as [number];
  const following = start(['issues', 'logs', String(id), '--follow'], { env: { DATABASE_URL: t.url } });
  const [claimed] = await claimAs(t.db, worker);
  expect(claimed?.issue.id).toBe(id);
  const path = join(logDir, 'issues', String(id), '1.log');
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, 'one\n');
  await until(() => following.output().stdout === 'one\n');
  appendFileSync(path, 'two\n');
  await until(() => following.output().stdout === 'one\ntwo\n');
  writeFileSync(`${path}.tail-8`, 'three\n');
  await settle(t.db, [{ ...done(claimed!), logPath: path, logHost: hostname() }]);
  expect(await following.ended).toMatchObject({ code: 0, stdout: 'one\ntwo\nthree\n', stderr: '' });
});

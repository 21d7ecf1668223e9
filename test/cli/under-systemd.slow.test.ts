/** A worker process as systemd runs it, but for systemd itself: its two tools write down what they are asked. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createTestDatabase } from '../support/database.js';
import { type FakeSystemd, fakeSystemd } from '../support/fake-systemd.js';
import { issuesOf } from '../support/issues.js';
import { startProxy } from '../support/proxy.js';
import { until } from '../support/until.js';
import { tempFolder } from '../support/worker.js';
import { type Running, start } from './run-cli.js';

const { url, sql } = await createTestDatabase();
const { add, issue, completed, clear } = issuesOf(sql);
const running: Running[] = [];
let systemd: FakeSystemd;
let dir: string;

beforeEach(async () => {
  await clear();
  systemd = fakeSystemd();
  dir = tempFolder();
});
afterEach(async () => {
  for (const each of running.splice(0)) {
    each.process.kill('SIGCONT');
    each.process.kill('SIGKILL');
    await each.ended;
  }
});

function worker(command: string, env: Record<string, string> = {}): Running {
  const PATH = `${systemd.bin}:${process.env.PATH}`;
  const unit = { NOTIFY_SOCKET: '/run/fake/notify', INVOCATION_ID: 'i', ...env };
  const args = ['--worker-id', 'unit-1', '--command', command, '--working-dir', dir, '--grace', '1', '--no-migrate'];
  const started = start(args, { cwd: dir, env: { DATABASE_URL: url, PATH, ...unit } });
  running.push(started);
  return started;
}

const status = () => systemd.calls().findLast((call) => call.STATUS)?.STATUS ?? '';
const saying = (name: string) => systemd.calls().filter((call) => name in call);
const isReady = () => until(() => saying('READY')[0], { timeoutMs: 30_000, what: 'the worker to say READY' });
const hasStarted = (id: number) =>
  until(() => status().startsWith(`issue ${id} attempt 1 since `), { what: `STATUS to name issue ${id}` });

/** Ends when the test makes the file `go`; leaves its own environment and its keeper's. */
const WAITS = `sh -c 'env > env; tr "\\0" "\\n" < /proc/$PPID/environ > keeper-env; while ! [ -e go ]; do sleep 0.05; done'`;

/** Stopped, a process pings no watchdog, whatever its helpers do. */
async function standsStill({ process: { pid } }: Running): Promise<void> {
  await until(() => saying('WATCHDOG').length >= 2);
  process.kill(pid!, 'SIGSTOP');
  await pause(300); // a call that was under way
  const before = saying('WATCHDOG').length;
  await pause(700);
  expect(saying('WATCHDOG').length).toBe(before);
  process.kill(pid!, 'SIGCONT');
  await until(() => saying('WATCHDOG').length > before);
}

test('it is ready once registered, pings, names what runs, and asks for time to drain as long as that runs', async () => {
  const unit = worker(WAITS, { WATCHDOG_USEC: '600000' });
  await isReady();
  expect(await sql`select id from cape_workers where stopped_at is null`).toEqual([{ id: 'unit-1' }]);
  expect(saying('READY')[0]!.STATUS).toBe('idle, 0 done since start');
  await standsStill(unit);
  const id = await add('drained');
  await hasStarted(id);
  expect(saying('EXTEND_TIMEOUT_USEC')).toEqual([]);
  unit.process.kill('SIGTERM');
  await until(() => saying('STOPPING')[0]);
  await until(() => /^draining: issue \d+ attempt 1 since .*, at most until /.test(status()));
  // Five seconds lie between them.
  await until(() => saying('EXTEND_TIMEOUT_USEC').length >= 2);
  expect(systemd.asked()).toEqual(['is-system-running']);
  writeFileSync(join(dir, 'go'), '');
  expect((await unit.ended).code).toBe(0);
  expect(await issue(id)).toMatchObject({ status: 'completed' });
  for (const name of ['env', ...(process.platform === 'linux' ? ['keeper-env'] : [])])
    expect(readFileSync(join(dir, name), 'utf8'), name).not.toMatch(/NOTIFY_SOCKET|WATCHDOG|INVOCATION_ID/);
});

test('it is ready without its database, says so, and says when it is back', async () => {
  const proxy = await startProxy(url);
  proxy.mode = 'refuse';
  worker('true', { DATABASE_URL: proxy.url(url) });
  expect((await isReady()).STATUS).toMatch(
    /^waiting for the database since [-\d]+ [:\d]+: the database .*is out of reach/,
  );
  proxy.mode = 'pass';
  await until(() => status() === 'idle, 0 done since start', { timeoutMs: 20_000 });
  await completed(await add('done'));
  await until(() => status() === 'idle, 1 done since start');
  await proxy.close();
});

test('where the host shuts down, what runs is given back at once and uncharged', async () => {
  const unit = worker(WAITS);
  await isReady();
  const id = await add('given back');
  await hasStarted(id);
  systemd.answer('host', 'stopping');
  unit.process.kill('SIGTERM');
  const { code, stdout } = await unit.ended;
  expect(code).toBe(0);
  expect(stdout).toContain('stopping now (the host is shutting down): running issues are ended and go back uncharged');
  expect(await issue(id)).toMatchObject({ status: 'pending', failures: 0, crashes: 0 });
});

test('one that fails leaves the reason in its status, without the password', async () => {
  const wrong = new URL(url);
  wrong.password = 'correct-horse-battery';
  wrong.pathname = '/correct-horse-battery';
  const unit = worker('true', { DATABASE_URL: wrong.href });
  expect((await unit.ended).code).not.toBe(0);
  expect(status()).toMatch(/^failed: the database/);
  expect(status()).not.toContain('correct-horse-battery');
});

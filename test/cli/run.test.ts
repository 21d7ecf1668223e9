/** A worker as a process: signals, exit codes, its console and its log. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { fastest } from '../support/fastest.js';
import { until } from '../support/until.js';
import { cli, emptyFolder, type Running, start } from './run-cli.js';

let t: TestDatabase;
const running: Running[] = [];

beforeAll(async () => {
  t = await createTestDatabase();
});

afterEach(async () => {
  for (const worker of running.splice(0)) {
    worker.process.kill('SIGKILL');
    await worker.ended;
  }
  await t.sql`delete from cape_issues`;
});

function worker(id: string, command: string, ...args: string[]): Running & { cwd: string } {
  const cwd = emptyFolder();
  const grace = args.includes('--grace') ? [] : ['--grace', '1'];
  const started = start(['--worker-id', id, '--command', command, ...grace, '--retry-base', '0', ...args], {
    cwd,
    env: { DATABASE_URL: t.url },
  });
  running.push(started);
  return { ...started, cwd };
}

/** The issue's text becomes an argument of sh, which `sleep` itself would refuse. */
const SLEEPS = `sh -c 'sleep 60'`;

async function add(description: string): Promise<number> {
  const [row] = await t.sql`insert into cape_issues (description) values (${description}) returning id`;
  return row?.id;
}

const issue = async (id: number) => (await t.sql`select * from cape_issues where id = ${id}`)[0];
const isStarted = (id: number) =>
  until(async () => (await issue(id))?.status === 'started' && issue(id), { what: `issue ${id} to be started` });

test('--drain runs what there is, says so in the format of the contract, and exits 0', async () => {
  const ids = [await add('first'), await add('second\nwith a line break')];
  const { ended, cwd } = worker('drains-1', `sh -c 'echo "out of $0"; exit 0' {id}`, '--drain');
  const { code, stdout } = await ended;
  expect(code).toBe(0);
  for (const id of ids) expect(await issue(id)).toMatchObject({ status: 'completed', assigned_worker_id: 'drains-1' });
  const lines = stdout.trimEnd().split('\n');
  for (const line of lines) expect(line).toMatch(/^[\d-]{10} [\d:]{8} - cape_worker_drains-1 - (INFO|WARNING) - /);
  expect(readFileSync(join(cwd, 'logs', 'worker_drains-1.log'), 'utf8')).toBe(stdout);
  const logs = await cli(['issues', 'logs', String(ids[0])], { env: { DATABASE_URL: t.url } });
  expect(logs).toMatchObject({ code: 0, stdout: `out of ${ids[0]}\n` });
});

test('issues cancel ends a running command within a second of the command', async () => {
  const { process: child } = worker('cancels-1', SLEEPS, '--grace', '5');
  const cancelling = async () => {
    const id = await add('long');
    await isStarted(id);
    await cli(['issues', 'cancel', String(id)], { env: { DATABASE_URL: t.url } });
    const said = performance.now();
    await until(async () => (await issue(id))?.status === 'cancelled');
    return performance.now() - said;
  };
  expect(await fastest(1000, cancelling)).toBeLessThan(1000);
  child.kill('SIGTERM');
});

describe('signals', () => {
  /** Until the next signal is one of its own: those within half a second, as the worker hears them, are one. */
  async function heard(output: Running['output'], words: string): Promise<void> {
    await until(() => output().stdout.includes(words), { what: `"${words}"` });
    await setTimeout(600);
  }

  test('two within half a second are one: what runs may finish', async () => {
    const { process: child, ended } = worker('signals-1', `sh -c 'sleep 1.5'`);
    const id = await add('finishes');
    await isStarted(id);
    child.kill('SIGINT');
    await setTimeout(100);
    child.kill('SIGINT');
    expect(await ended).toMatchObject({ code: 0 });
    expect(await issue(id)).toMatchObject({ status: 'completed' });
  });

  test('a later second one ends what runs and gives it back uncharged', async () => {
    const { process: child, ended, output } = worker('signals-2', SLEEPS);
    const id = await add('interrupted');
    await isStarted(id);
    child.kill('SIGTERM');
    await heard(output, 'stopping: claiming nothing more');
    child.kill('SIGTERM');
    expect(await ended).toMatchObject({ code: 0 });
    expect(await issue(id)).toMatchObject({ status: 'pending', failures: 0, crashes: 0, assigned_worker_id: null });
  });

  test('the third ends the program at once, with the exit code of the signal', async () => {
    const {
      process: child,
      ended,
      output,
    } = worker('signals-3', `sh -c 'trap "" TERM; sleep 60 & wait; wait'`, '--grace', '30');
    const id = await add('stubborn');
    await isStarted(id);
    child.kill('SIGINT');
    await heard(output, 'stopping: claiming nothing more');
    child.kill('SIGINT');
    await heard(output, 'stopping now (asked again to stop)');
    child.kill('SIGINT');
    expect(await ended).toMatchObject({ code: 130 });
  });

  test('an idle worker stops within a second', async () => {
    const stopping = async () => {
      const { process: child, ended } = worker('signals-4', 'true');
      await until(
        async () =>
          (await t.sql`select 1 from cape_workers where id = 'signals-4' and waiting_until is not null`).length,
        { what: 'the worker to wait' },
      );
      const asked = performance.now();
      child.kill('SIGTERM');
      expect(await ended).toMatchObject({ code: 0 });
      return performance.now() - asked;
    };
    expect(await fastest(1000, stopping)).toBeLessThan(1000);
  });
});

test('a console that goes away does not end the worker', async () => {
  const { process: child, ended } = worker('headless-1', 'true', '--log-level', 'debug');
  child.stdout?.once('data', () => child.stdout?.destroy());
  const first = await add('one');
  await until(async () => (await issue(first))?.status === 'completed');
  const second = await add('two');
  await until(async () => (await issue(second))?.status === 'completed');
  child.kill('SIGTERM');
  expect(await ended).toMatchObject({ code: 0, stderr: '' });
});

describe('a worker that cannot start says why in one line', () => {
  test('75: another live one has its id', async () => {
    worker('twin-1', 'true');
    await until(async () => (await t.sql`select 1 from cape_workers where id = 'twin-1'`).length);
    const { code, stdout, stderr } = await worker('twin-1', 'true').ended;
    expect(code).toBe(75);
    expect(stderr).toMatch(/^cape-worker: --worker-id: got "twin-1", which .*\n$/);
    // Not twice on a terminal: the log's line is in its file only.
    expect(stdout).not.toContain('ERROR');
  });

  test('78: no such command, or a setting that is not allowed', async () => {
    expect(await worker('w-1', './missing.sh').ended).toMatchObject({
      code: 78,
      stderr: expect.stringContaining('missing.sh'),
    });
    const bad = await cli([], { env: { DATABASE_URL: t.url, CAPE_WORKER_ID: 'w-1', CAPE_LEASE: 'long' } });
    expect(bad).toMatchObject({
      code: 78,
      stderr: expect.stringMatching(/^cape-worker: CAPE_LEASE: got "long"; must be .*\n$/),
    });
  });

  test('69: a login that is refused', async () => {
    const url = new URL(t.url);
    url.pathname = '/no_such_database';
    const refused = await cli(['--worker-id', 'w-1', '--command', 'true'], { env: { DATABASE_URL: url.href } });
    expect(refused).toMatchObject({ code: 69, stderr: expect.stringContaining('no_such_database') });
  });
});

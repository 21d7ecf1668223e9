/**
 * The commands about services on a Mac, with a real worker and a real database: only launchd is the fake one. The steps
 * build on each other. With LAUNCHD=real, on a Mac whose user is logged in at the screen, they use the real one.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { Command } from '../../src/cli/command.js';
import { type Host, hostOf } from '../../src/service/host.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { until } from '../support/until.js';
import { FakeLaunchd } from './fake-launchd.js';

const mac = vi.hoisted(() => ({ host: null as Host | null }));

vi.mock('../../src/cli/service-options.js', async (original) => ({
  ...(await original<object>()),
  thisHost: () => mac.host,
}));

const isReal = process.env.LAUNCHD === 'real';

let launchd: FakeLaunchd;
let dir: string;
let host: Host;
let t: TestDatabase;
let logDir: string;

beforeAll(async () => {
  t = await createTestDatabase();
  // Made in any case, for its folder.
  launchd = new FakeLaunchd(process.getuid?.());
  dir = launchd.dir;
  host = isReal ? hostOf(process.env) : launchd.host;
  mac.host = host;
  logDir = join(dir, 'logs');
  mkdirSync(logDir);
});

afterAll(async () => {
  if (isReal) await service('uninstall', ['mac-1'], { purge: true, now: true }).catch(() => {});
  launchd.close();
});

interface Said {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A command in this process, as main.ts runs it. */
async function service(name: string, words: string[], flags: Record<string, unknown> = {}): Promise<Said> {
  const { COMMANDS } = await import('../../src/cli/commands.js');
  const { load } = COMMANDS.find((one) => one.name === `service ${name}`) as { load(): Promise<Command> };
  const said = { stdout: '', stderr: '' };
  const catching = (['stdout', 'stderr'] as const).map((stream) =>
    vi.spyOn(process[stream], 'write').mockImplementation((text) => {
      said[stream] += text;
      return true;
    }),
  );
  try {
    return { code: await (await load()).run({ words, flags }), ...said };
  } finally {
    for (const each of catching) each.mockRestore();
  }
}

const report = async () => JSON.parse((await service('status', ['mac-1'], { json: true })).stdout)[0];
const add = async (description: string) =>
  (await t.sql`insert into cape_issues (description) values (${description}) returning id`)[0]?.id as number;
const issue = async (id: number) => (await t.sql`select * from cape_issues where id = ${id}`)[0];
const isStarted = (id: number) =>
  until(async () => (await issue(id))?.status === 'started', { what: 'a started issue' });
const isDone = (id: number) =>
  until(async () => (await issue(id))?.status === 'completed', { timeoutMs: 30_000, what: 'a completed issue' });
const release = () => join(dir, 'release');

/** Each waits for its file, and has a child that left its process group. */
const SETSID = isReal ? `perl -MPOSIX -e "setsid; exec @ARGV"` : 'setsid';
const SCRIPT = `${SETSID} sleep 600 & echo $! > "$0-child"; until [ -e "$0-$1" ]; do sleep 0.05; done`;
const letGo = (id: number) => writeFileSync(`${release()}-${id}`, '');
const isChildGone = () => {
  const pid = readFileSync(`${release()}-child`, 'utf8').trim();
  return /^\s*(Z|$)/.test(spawnSync('ps', ['-o', 'stat=', '-p', pid], { encoding: 'utf8' }).stdout);
};

async function install(flags: Record<string, unknown> = {}): Promise<Said> {
  process.env.DATABASE_URL = t.url;
  try {
    return await service('install', ['mac-1'], {
      user: true,
      'allow-root': true,
      'log-dir': logDir,
      command: `sh -c '${SCRIPT}' "${release()}" {id}`,
      grace: '1',
      ...flags,
    });
  } finally {
    delete process.env.DATABASE_URL;
  }
}

const plistPath = () => join(host.home, 'Library/LaunchAgents/com.cape.worker.mac-1.plist');

let first: number;
let pid: number;

test('install: the plist and the env file are there, and the worker is up', async () => {
  const { code, stdout, stderr } = await install();
  expect({ code, stdout }, stderr).toEqual({
    code: 0,
    stdout: expect.stringMatching(/: started, .* seen in the database\n$/),
  });
  const plist = plistPath();
  expect(readFileSync(plist, 'utf8')).not.toContain('postgres://');
  ({ pid } = await report());
  expect(await report()).toMatchObject({
    workerId: 'mac-1',
    scope: 'user',
    manager: 'launchd',
    name: 'com.cape.worker.mac-1',
    state: 'running',
    enabled: true,
    restarts: 0,
    issues: [],
    databaseProblem: null,
    drift: [],
    problems: [],
    outdated: false,
    file: plist,
    logDir,
  });
});

test('installed again with nothing changed, nothing changes', async () => {
  const before = [...launchd.orders];
  const { code, stdout } = await install();
  expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringMatching(/^nothing to change: .* pid \d+\n$/) });
  expect(launchd.orders).toEqual(before);
});

test('status tells the running issue, its version and the last lines; list has a line', async () => {
  first = await add('first');
  await isStarted(first);
  const { code, stdout } = await service('status', []);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^mac-1: com\.cape\.worker\.mac-1 \(launchd, user\)$/m);
  expect(stdout).toMatch(new RegExp(`^state +running since .*, pid ${pid}$`, 'm'));
  expect(stdout).toMatch(new RegExp(`^issues +${first}, attempt 1, since .* \\(.*\\)$`, 'm'));
  expect(stdout).toMatch(/cape_worker_mac-1 - INFO - worker mac-1 is ready/);
  expect((await service('list', [])).stdout).toMatch(new RegExp(`\\nmac-1 +user +running +yes +${pid} +.*\\n$`));
  expect((await service('logs', ['mac-1'], { lines: '1000' })).stdout).toContain('is ready');
});

test('stop waits for the issue and says so; status is 1 then', async () => {
  const stopping = service('stop', ['mac-1']);
  setTimeout(() => letGo(first), 3000);
  const { code, stdout, stderr } = await stopping;
  expect({ code, stdout }).toEqual({ code: 0, stdout: 'com.cape.worker.mac-1 is stopped\n' });
  expect(stderr).toMatch(new RegExp(`^com\\.cape\\.worker\\.mac-1 waits for issue ${first}, attempt 1, .*Ctrl-C`));
  expect(await issue(first)).toMatchObject({ status: 'completed', attempt: 1 });
  expect((await service('status', ['mac-1'])).code).toBe(1);
  expect((await service('stop', ['mac-1'])).stdout).toBe('com.cape.worker.mac-1 is stopped already\n');
});

test('start waits until the worker is seen', async () => {
  const { code, stdout } = await service('start', ['mac-1']);
  expect({ code, stdout }).toEqual({
    code: 0,
    stdout: expect.stringMatching(/: started, pid \d+, seen in the database\n$/),
  });
  expect((await service('start', ['mac-1'])).stdout).toMatch(/runs already, pid \d+\n$/);
});

test('a changed setting is shown, and restarts it with the new one', async () => {
  const { code, stdout } = await install({ concurrency: '2' });
  expect({ code, stdout }).toEqual({
    code: 0,
    stdout: expect.stringMatching(/\+ CAPE_CONCURRENCY=2[\s\S]*: restarted, /),
  });
  expect((await t.sql`select slots from cape_workers where id = 'mac-1'`)[0]).toMatchObject({ slots: 2 });
});

test('killed, it is back by launchd; the issue is run once more and what left its group is gone', async () => {
  const id = await add('killed');
  await isStarted(id);
  await until(() => existsSync(`${release()}-child`));
  const before = await report();
  process.kill(before.pid, 'SIGKILL');
  await until(async () => (await report()).pid !== before.pid && (await report()).restarts === 1, {
    timeoutMs: 30_000,
  });
  letGo(id);
  await isDone(id);
  expect(await issue(id)).toMatchObject({ attempt: 2, crashes: 1 });
  await until(isChildGone);
});

test('stop --now gives the issue back uncharged, and nothing of it is left', async () => {
  const id = await add('given back');
  await isStarted(id);
  expect((await service('stop', ['mac-1'], { now: true })).code).toBe(0);
  expect(await issue(id)).toMatchObject({ status: 'pending', failures: 0, crashes: 0 });
  expect(isChildGone()).toBe(true);
  await t.sql`delete from cape_issues where id = ${id}`;
});

test.skipIf(isReal)('a worker that ExitTimeOut killed leaves nothing behind: the keeper ends its runs', async () => {
  await service('start', ['mac-1']);
  const id = await add('drains too long');
  await isStarted(id);
  launchd.times.exitTimeOutMs = 300;
  await service('restart', ['mac-1']);
  await until(isChildGone);
  delete launchd.times.exitTimeOutMs;
  letGo(id);
  await isDone(id);
  expect(await issue(id)).toMatchObject({ attempt: 2 });
});

test('what is wrong with its files is said', async () => {
  const { envFile } = await report();
  chmodSync(envFile, 0o644);
  const plist = plistPath();
  const text = readFileSync(plist, 'utf8');
  writeFileSync(plist, text.replaceAll(process.execPath, '/opt/gone/node'));
  const { code, stdout } = await service('status', ['mac-1'], { diff: true });
  expect(code).toBe(0);
  expect(stdout).toMatch(/! Node \/opt\/gone\/node is gone: cape-worker service upgrade mac-1/);
  expect(stdout).toMatch(/! env file .* has mode 0644, not 0600: chmod 600$/m);
  expect(stdout).toMatch(/! an upgrade would change \d+ lines of the installed file/);
  expect(stdout).toMatch(/^- +<string>\/opt\/gone\/node<\/string>$/m);
  expect((await service('upgrade', [])).code).toBe(0);
  expect(await report()).toMatchObject({ state: 'running', drift: [], problems: [] });
});

test('an id that is not installed is answered with those that are', async () => {
  await expect(service('status', ['mca-1'])).rejects.toThrow(
    /mca-1 is not installed as a service; did you mean mac-1\?/,
  );
});

test('uninstall --purge leaves nothing', async () => {
  const { code } = await service('uninstall', ['mac-1'], { purge: true });
  expect(code).toBe(0);
  expect(await service('list', [])).toMatchObject({ stdout: 'no service of this machine or of yours is installed\n' });
  expect((await service('status', [])).code).toBe(1);
  expect(existsSync(plistPath())).toBe(false);
  expect(existsSync(logDir)).toBe(false);
  if (isReal) return;
  expect(launchd.orders.at(-1)).toBe(`enable gui/${host.uid}/com.cape.worker.mac-1`);
  expect(existsSync(join(host.home, '.config/cape-worker'))).toBe(false);
  expect(launchd.calls.some((line) => /^(load|unload|start|stop)\b/.test(line))).toBe(false);
});

test.skipIf(isReal)('where nobody is logged in at the screen, install says what to do', async () => {
  launchd.loggedIn = false;
  await expect(install()).rejects.toThrow(/nobody is logged in .*sudo cape-worker service install/);
  expect(existsSync(plistPath())).toBe(false);
  expect((await install({ start: false })).code).toBe(0);
});

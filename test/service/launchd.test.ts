/**
 * launchd as the manager of a service, with a program that is no worker: a shell script that says how it is started and
 * ended. `launchctl` is the fake one; for a Mac see docs/service.md.
 */
import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openLaunchd } from '../../src/service/launchd.js';
import { isDisabled, parsePrint } from '../../src/service/launchd-print.js';
import type { ServiceManager } from '../../src/service/manager.js';
import { followFiles, lastLinesOf } from '../../src/service/output-tail.js';
import type { ServiceSpec } from '../../src/service/spec.js';
import { until } from '../support/until.js';
import { FakeLaunchd } from './fake-launchd.js';

let mac: FakeLaunchd;
let agents: ServiceManager;
let logDir: string;

beforeEach(() => {
  mac = new FakeLaunchd();
  agents = openLaunchd('user', mac.host);
  logDir = join(mac.dir, 'logs & more');
  mkdirSync(logDir);
});

afterEach(() => mac.close());

const TARGET = 'gui/501/com.cape.worker.a-1';

/** Installs a service whose program is this script; `$log` is a file for what it has to say. */
function install(script: string, change: Partial<ServiceSpec> = {}): ServiceSpec {
  const program = join(mac.dir, 'program.sh');
  writeFileSync(program, `log='${said()}'\n${script}\n`);
  const { home } = mac.host;
  const spec: ServiceSpec = {
    workerId: 'a-1',
    scope: 'user',
    account: { name: 'me', uid: 501, gid: 20, group: 'staff', home },
    node: '/bin/sh',
    program,
    envFile: join(home, 'a-1.env'),
    workingDir: home,
    logDir,
    path: '/usr/bin:/bin',
    harden: false,
    withDatabase: false,
    graceMs: 10_000,
    ...change,
  };
  const manager = openLaunchd(spec.scope, mac.host);
  mkdirSync(dirname(manager.fileOf('a-1')), { recursive: true });
  writeFileSync(manager.fileOf('a-1'), manager.render(spec));
  return spec;
}

const said = () => join(mac.dir, 'said');
const words = () => (existsSync(said()) ? readFileSync(said(), 'utf8').split('\n').filter(Boolean) : []);
const isUp = () => until(async () => (await agents.state('a-1')).active === 'running' && words().length > 0);

/** Says what it hears, and ends well when told once. */
const WORKER = `trap 'echo told >> "$log"; exit 0' TERM; echo up >> "$log"; echo hello; while :; do sleep 0.05; done`;
/** Drains: ends at the second signal. */
const BUSY = `n=0; trap 'n=$((n + 1)); echo told $n >> "$log"; [ $n -lt 2 ] || exit 0' TERM
echo up >> "$log"; while :; do sleep 0.05; done`;

describe('start and stop', () => {
  test('a service is bootstrapped into the session at the screen, and booted out again', async () => {
    install(WORKER);
    expect(await agents.state('a-1')).toMatchObject({ installed: true, enabled: true, active: 'stopped', pid: null });
    await agents.start('a-1');
    await isUp();
    const state = await agents.state('a-1');
    expect(state).toMatchObject({ active: 'running', restarts: 0, lastEnd: null, text: null });
    expect(process.kill(state.pid as number, 0)).toBe(true);
    expect(Math.abs(Date.now() - Number(state.since))).toBeLessThan(60_000);
    await agents.stop('a-1');
    expect(words()).toEqual(['up', 'told']);
    expect(await agents.state('a-1')).toMatchObject({ installed: true, active: 'stopped', pid: null });
    expect(mac.orders).toEqual([
      `bootstrap gui/501 ${agents.fileOf('a-1')}`,
      `kickstart ${TARGET}`,
      `bootout ${TARGET}`,
    ]);
  });

  test('starting what runs and stopping what is stopped changes nothing', async () => {
    install(WORKER);
    await agents.stop('a-1');
    await agents.start('a-1');
    await isUp();
    const before = [...mac.orders];
    const { pid } = await agents.state('a-1');
    await agents.start('a-1');
    expect(mac.orders).toEqual(before);
    expect(await agents.state('a-1')).toMatchObject({ pid });
  });

  test('stop waits for as long as the service drains', async () => {
    Object.assign(mac.times, { bootoutMs: 50 });
    install(BUSY);
    await agents.start('a-1');
    await isUp();
    const { pid } = await agents.state('a-1');
    let stopped = false;
    const stopping = agents.stop('a-1').then(() => {
      stopped = true;
    });
    await until(() => words().includes('told 1'));
    expect(stopped).toBe(false);
    process.kill(pid as number, 'SIGTERM');
    await stopping;
    expect(words()).toEqual(['up', 'told 1', 'told 2']);
  });

  test('stop --now tells it twice, which ends what runs and gives it back', async () => {
    install(BUSY);
    await agents.start('a-1');
    await isUp();
    await agents.stop('a-1', { now: true });
    expect(words()).toEqual(['up', 'told 1', 'told 2']);
    expect(await agents.state('a-1')).toMatchObject({ active: 'stopped' });
  });

  test('stop --now while it drains already tells it once more and no oftener', async () => {
    Object.assign(mac.times, { bootoutMs: 50 });
    install(`n=0; trap 'n=$((n + 1)); echo told $n >> "$log"; [ $n -lt 2 ] || { sleep 2; exit 0; }' TERM
echo up >> "$log"; while :; do sleep 0.05; done`);
    await agents.start('a-1');
    await isUp();
    const first = agents.stop('a-1');
    await until(() => words().includes('told 1'));
    await agents.stop('a-1', { now: true });
    await first;
    expect(words()).toEqual(['up', 'told 1', 'told 2']);
  });

  test('the start after a stop waits until launchd has let go of the label', async () => {
    mac.times.labelMs = 1000;
    install(WORKER);
    await agents.start('a-1');
    await isUp();
    await agents.restart('a-1');
    await until(() => words().length === 3);
    expect(words()).toEqual(['up', 'told', 'up']);
    expect(mac.orders.filter((line) => line.startsWith('bootstrap')).length).toBeGreaterThan(2);
  });

  test('what is left of its process group when it has ended is killed', async () => {
    install(`sleep 300 & echo $! >> "$log"; trap 'exit 0' TERM; while :; do sleep 0.05; done`);
    await agents.start('a-1');
    await isUp();
    const child = Number(words()[0]);
    expect(process.kill(child, 0)).toBe(true);
    await agents.stop('a-1');
    await until(() => isGone(child));
  });

  test('past ExitTimeOut it is killed', async () => {
    Object.assign(mac.times, { exitTimeOutMs: 300 });
    install(`trap '' TERM; echo up >> "$log"; while :; do sleep 0.05; done`);
    await agents.start('a-1');
    await isUp();
    const { pid } = await agents.state('a-1');
    await agents.stop('a-1');
    expect(isGone(pid as number)).toBe(true);
  });
});

/** A zombie is gone: who was its parent has not looked yet. */
function isGone(pid: number): boolean {
  const { stdout } = spawnSync('ps', ['-o', 'stat=', '-p', String(pid)], { encoding: 'utf8' });
  return /^\s*(Z|$)/.test(stdout);
}

describe('crashes', () => {
  test('it is started again after a crash, and how often is counted', async () => {
    install(`echo up >> "$log"; [ "$(wc -l < "$log")" -gt 2 ] || exit 3\n${WORKER}`);
    await agents.start('a-1');
    await until(async () => (await agents.state('a-1')).restarts === 2);
    expect(await agents.state('a-1')).toMatchObject({ active: 'running', lastEnd: 'exit code 3' });
  });

  test('between two tries it is starting, and how it ended is said', async () => {
    Object.assign(mac.times, { throttleMs: 60_000 });
    install(`echo up >> "$log"; exit 78`);
    await agents.start('a-1');
    await until(async () => (await agents.state('a-1')).lastEnd !== null);
    expect(await agents.state('a-1')).toMatchObject({ active: 'starting', lastEnd: 'exit code 78', pid: null });
    await agents.stop('a-1');
  });

  test('told to end by hand it stays down, and the next start reads its file anew', async () => {
    install(WORKER);
    await agents.start('a-1');
    await isUp();
    process.kill((await agents.state('a-1')).pid as number, 'SIGTERM');
    await until(async () => (await agents.state('a-1')).pid === null);
    expect(await agents.state('a-1')).toMatchObject({ active: 'stopped', lastEnd: 'exit code 0' });
    install(WORKER.replace('echo up', 'echo new'));
    await agents.start('a-1');
    await until(() => words().includes('new'));
    expect(mac.orders.slice(-3)).toEqual([
      `bootout ${TARGET}`,
      `bootstrap gui/501 ${agents.fileOf('a-1')}`,
      `kickstart ${TARGET}`,
    ]);
  });

  test('a signal that ended it is named', async () => {
    Object.assign(mac.times, { throttleMs: 60_000 });
    install(`echo up >> "$log"; kill -9 $$`);
    await agents.start('a-1');
    await until(async () => (await agents.state('a-1')).lastEnd === 'signal KILL');
  });
});

describe('what launchd gives it', () => {
  test('PATH, HOME, the working folder, its umask, and files that its output is added to', async () => {
    const spec = install(
      `umask >> "$log"; pwd >> "$log"; echo "$PATH|$HOME" >> "$log"; echo out; echo err >&2\n${WORKER}`,
    );
    writeFileSync(join(logDir, 'worker_a-1_stdout.log'), 'before\n');
    await agents.start('a-1');
    await until(() => words().includes('up'));
    expect(words().slice(0, 3)).toEqual(['0077', spec.workingDir, `/usr/bin:/bin|${mac.host.home}`]);
    await until(async () => (await agents.lastLines('a-1', 10)).length === 4);
    expect((await agents.lastLines('a-1', 10)).sort()).toEqual(['before', 'err', 'hello', 'out']);
    expect((await agents.lastLines('a-1', 1)).length).toBe(1);
  });

  test('enable says nothing to launchd unless it was disabled', async () => {
    install(WORKER);
    await agents.enable('a-1');
    expect(mac.orders).toEqual([]);
    await agents.disable('a-1');
    expect(await agents.state('a-1')).toMatchObject({ enabled: false });
    await agents.start('a-1');
    expect(await agents.state('a-1')).toMatchObject({ enabled: true });
    expect(mac.orders.slice(0, 2)).toEqual([`disable ${TARGET}`, `enable ${TARGET}`]);
  });

  test('list has the plists of workers and no others', async () => {
    install(WORKER);
    const dir = dirname(agents.fileOf('a-1'));
    writeFileSync(join(dir, 'com.cape.worker.hand.plist'), '<plist version="1.0"><dict/></plist>');
    writeFileSync(join(dir, 'com.other.plist'), '');
    expect(await agents.list()).toEqual(['a-1']);
    expect(await openLaunchd('system', mac.host).list()).toEqual([]);
  });

  test('a daemon of the machine is in the domain of the system', async () => {
    const daemons = openLaunchd('system', mac.host);
    const name = process.env.USER ?? 'root';
    install(WORKER, { scope: 'system', account: { name, uid: 501, gid: 20, group: 'staff', home: mac.host.home } });
    await daemons.start('a-1');
    await until(() => words().includes('up'));
    expect(daemons.fileOf('a-1')).toBe(join(mac.host.root, 'Library/LaunchDaemons/com.cape.worker.a-1.plist'));
    expect(mac.orders[0]).toBe(`bootstrap system ${daemons.fileOf('a-1')}`);
    await daemons.stop('a-1');
  });
});

describe('what launchd refuses is said in words, with what to do', () => {
  test('nobody is logged in at the screen: the way without a login is named', async () => {
    install(WORKER);
    mac.loggedIn = false;
    await expect(agents.start('a-1')).rejects.toThrow(
      /nobody is logged in .* sudo cape-worker service install ID --system/,
    );
    expect(mac.orders).toEqual([]);
    expect(await agents.state('a-1')).toMatchObject({ active: 'stopped' });
    await agents.stop('a-1');
  });

  test.each([
    ['bootstrap', 125, 'Bootstrap failed: 125: Domain does not support specified action', /nobody is logged in/],
    [
      'bootstrap',
      119,
      'Bootstrap failed: 119: Service is disabled',
      /launchctl enable gui\/501\/com\.cape\.worker\.a-1$/,
    ],
    [
      'bootstrap',
      122,
      'Bootstrap failed: 122: Path had bad ownership/permissions',
      /your own and writable by nobody else/,
    ],
    ['bootstrap', 1, 'Bootstrap failed: 1: Operation not permitted', /run it as the user of the service/],
    ['kickstart', 113, 'Could not find service "com.cape.worker.a-1" in domain for user gui: 501', /it is not loaded/],
    ['print', 1, 'Operation not permitted', /launchctl print .*: Operation not permitted; /],
  ])('%s %i', async (verb, code, stderr, expected) => {
    install(WORKER);
    mac.denied.set(verb, { code, stderr });
    await expect(agents.start('a-1')).rejects.toThrow(expected);
    mac.denied.delete(verb);
  });

  test('5, which means anything, is tried again for a while and then explained', async () => {
    install('exit 0');
    const stderr = 'Bootstrap failed: 5: Input/output error\nTry re-running the command as root for richer errors.';
    mac.denied.set('bootstrap', { code: 5, stderr });
    const manager = openLaunchd('user', mac.host, { labelFreeMs: 300 });
    const error = await manager.start('a-1').catch((refused: Error) => refused);
    expect(String(error)).toMatch(/5: Input\/output error; launchd gives no reason; the usual ones: .*plutil -lint/);
    expect(String(error)).not.toContain('richer');
  });

  test('bootout: "in progress" is waited for, "no such process" is as good as done, and the rest is an error', async () => {
    install(WORKER);
    await agents.start('a-1');
    await isUp();
    mac.denied.set('bootout', { code: 1, stderr: 'Boot-out failed: 1: Operation not permitted' });
    await expect(agents.stop('a-1')).rejects.toThrow(/1: Operation not permitted; run it as the user/);
    mac.denied.delete('bootout');
    await agents.stop('a-1');
  });
});

describe('launchctl print', () => {
  const print = (fields: string) =>
    `gui/501/com.x = {\n\tactive count = 1\n${fields}\n\tcoalition = {\n\t\tstate = active\n\t\tpid = 7\n\t}\n}\n`;

  test.each([
    [
      '\tstate = running\n\n\tpid = 12\n\truns = 3\n\tlast exit code = (never exited)',
      { state: 'running', pid: 12, runs: 3, lastEnd: null },
    ],
    [
      '\tstate = not running\n\truns = 1\n\tlast exit code = 0',
      { state: 'not running', pid: null, lastEnd: 'exit code 0', endedWell: true },
    ],
    [
      '\tstate = spawn scheduled\n\tlast exit code = 78: EX_CONFIG',
      { state: 'spawn scheduled', lastEnd: 'exit code 78', endedWell: false },
    ],
    ['\tstate = not running\n\tlast terminating signal = Killed: 9', { lastEnd: 'signal KILL', endedWell: false }],
    ['\tstate = not running\n\tlast terminating signal = Something new: 99', { lastEnd: 'signal Something new' }],
    ['', { state: 'unknown', pid: null, runs: null, lastEnd: null }],
  ])('%j', (fields, expected) => {
    expect(parsePrint(print(fields))).toMatchObject(expected);
  });

  test('disabled services, as older and newer systems list them', () => {
    const list =
      '\tdisabled services = {\n\t\t"com.x" => disabled\n\t\t"com.x.y" => enabled\n\t\t"com.old" => true\n\t}\n';
    expect(['com.x', 'com.x.y', 'com.old', 'com'].map((label) => isDisabled(list, label))).toEqual([
      true,
      false,
      true,
      false,
    ]);
  });
});

describe('the files of its output', () => {
  const path = (name: string) => join(mac.dir, name);

  test('the last lines of both: of the file that was written last, last', () => {
    writeFileSync(path('err'), 'dies\n');
    utimesSync(path('err'), 1, 1);
    writeFileSync(path('out'), 'one\ntwo\n\nthree');
    expect(lastLinesOf([path('out'), path('err'), path('missing')], 10)).toEqual(['dies', 'one', 'two', 'three']);
    expect(lastLinesOf([path('out'), path('err')], 2)).toEqual(['two', 'three']);
    writeFileSync(path('out'), `${'x'.repeat(5000)}\nlast\n`);
    expect(lastLinesOf([path('out')], 2)).toEqual(['last']);
  });

  test('what is added is handed on, also where a file is emptied or comes into being', async () => {
    writeFileSync(path('out'), 'old\n');
    let got = '';
    const end = new AbortController();
    const following = followFiles([path('out'), path('err')], (text) => (got += text), end.signal);
    appendFileSync(path('out'), 'new ü\n');
    await until(() => got === 'new ü\n');
    truncateSync(path('out'), 0);
    await until(() => statSync(path('out')).size === 0);
    appendFileSync(path('out'), 'a\n');
    await until(() => got === 'new ü\na\n');
    writeFileSync(path('err'), 'err\n');
    await until(() => got === 'new ü\na\nerr\n');
    end.abort();
    await following;
  });
});

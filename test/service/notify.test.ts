/** What is said to systemd, and when: by a systemd-notify that writes it down. */
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { findTool } from '../../src/service/find-tool.js';
import { type Notifying, type NotifyOptions, type Paces, startNotifying } from '../../src/service/notify.js';
import type { WorkerState } from '../../src/worker/state.js';
import { type FakeSystemd, fakeSystemd } from '../support/fake-systemd.js';
import { until } from '../support/until.js';

let systemd: FakeSystemd;
let lines: string[];
let manager: Notifying | null;

const starting: WorkerState = {
  phase: 'starting',
  away: null,
  paused: false,
  running: [],
  unwritten: [],
  completed: 0,
  drainUntil: null,
  leavesBy: null,
  stuck: null,
};
const working: WorkerState = { ...starting, phase: 'working' };
const one = { id: 7, attempt: 1, since: new Date(), until: new Date(Date.now() + 3_600_000) };
const away = { since: new Date(), words: 'the database is out of reach' };

beforeEach(() => {
  systemd = fakeSystemd();
  lines = [];
  manager = null;
});
afterEach(() => manager?.close(null));

/** But for what a test is about, nothing comes by itself. */
const QUIET: Paces = { statusEveryMs: 50, extendEveryMs: 60_000, retryMs: 100 };

function start(env: Record<string, string> = {}, options: Partial<NotifyOptions> = {}): Notifying {
  const note = (level: string) => (line: string) => void lines.push(`${level}: ${line}`);
  const log = { error: note('error'), warn: note('warn'), info: note('info'), debug: note('debug') };
  const environment = { PATH: `${systemd.bin}:${process.env.PATH}`, NOTIFY_SOCKET: '/run/fake/notify', ...env };
  manager = startNotifying(environment, { log, secrets: [], paces: QUIET, ...options });
  return manager;
}

/** The calls that say something of this name. */
const saying = (name: string) => systemd.calls().filter((call) => name in call);
const said = (name: string) => until(() => saying(name).at(-1), { what: `${name} to be said` });

test('without NOTIFY_SOCKET nobody is called', async () => {
  start({ NOTIFY_SOCKET: '', WATCHDOG_USEC: '30000' }).state(working);
  await pause(100);
  expect(systemd.calls()).toEqual([]);
});

test('a tool is found by PATH, not in folders that hang on where one stands, and may be missing', () => {
  expect(findTool('systemd-notify', { PATH: `/nowhere::bin:${systemd.bin}` })).toBe(
    join(systemd.bin, 'systemd-notify'),
  );
  expect(findTool('no-such-tool', { PATH: process.env.PATH })).toBeNull();
  expect(findTool('sh', {})).toMatch(/^(\/usr)?\/bin\/sh$/);
});

describe('being ready', () => {
  test('is said when the worker works, and again with whatever follows, until it stops', async () => {
    const { state } = start();
    await said('STATUS');
    state(starting);
    await pause(50);
    expect(saying('READY')).toEqual([]);
    state(working);
    expect(await said('READY')).toEqual({
      socket: '/run/fake/notify',
      READY: '1',
      STATUS: 'idle, 0 done since start',
    });
    state({ ...working, completed: 1 });
    await until(() => saying('READY').at(-1)!.STATUS === 'idle, 1 done since start');
    state({ ...working, phase: 'draining' });
    expect(await said('STOPPING')).toMatchObject({ STOPPING: '1', STATUS: 'stopping' });
    expect(await said('STOPPING')).not.toHaveProperty('READY');
  });

  test('is said of a worker that waits for its database, in words that say so', async () => {
    start().state({ ...starting, away });
    expect((await said('READY')).STATUS).toMatch(/^waiting for the database since .*: the database is out of reach$/);
  });

  test('is not said of one that was told to stop before', async () => {
    start().state({ ...starting, phase: 'draining' });
    await said('STOPPING');
    expect(saying('READY')).toEqual([]);
  });
});

describe('calls', () => {
  test('are made one at a time, and of many states only the newest is told', async () => {
    const { state } = start();
    await said('STATUS');
    systemd.set('hold', true);
    state(working);
    await said('READY');
    for (let completed = 1; completed <= 500; completed++) state({ ...working, completed });
    await pause(200);
    expect(systemd.calls()).toHaveLength(2);
    systemd.set('hold', false);
    await until(() => systemd.calls().at(-1)!.STATUS === 'idle, 500 done since start');
    expect(systemd.calls()).toHaveLength(3);
  });

  test('about the state alone are made once a second at most', async () => {
    const { state } = start({}, { paces: {} });
    state(working);
    await said('READY');
    const before = systemd.calls().length;
    for (let completed = 1; completed <= 60; completed++) {
      state({ ...working, completed });
      await pause(10);
    }
    expect(systemd.calls().length - before).toBeLessThanOrEqual(1);
  });

  test('that fail are made again, harm nothing, and are told of once', async () => {
    systemd.set('refuse', true);
    const { state } = start();
    state(working);
    await until(() => saying('READY').length >= 2);
    systemd.set('refuse', false);
    const failed = saying('READY').length;
    await until(() => saying('READY').length > failed);
    expect(lines).toEqual([
      "warn: the service manager can't be told (systemd-notify: Failed to notify init system: refused)",
    ]);
  });
});

describe('the watchdog', () => {
  test('is told three times in its interval that the event loop turns, whatever the database does', async () => {
    start({ WATCHDOG_USEC: '150000', WATCHDOG_PID: String(process.pid) }).state({ ...starting, away });
    await until(() => saying('WATCHDOG').length >= 3);
  });

  test('is another process’s affair where it names another', async () => {
    start({ WATCHDOG_USEC: '30000', WATCHDOG_PID: '1' }).state(working);
    await said('READY');
    await pause(150);
    expect(saying('WATCHDOG')).toEqual([]);
  });

  test('is told nothing while a loop of the worker stands still', async () => {
    const { state } = start({ WATCHDOG_USEC: '30000' });
    state({ ...working, stuck: 'the claim loop' });
    await said('READY');
    await pause(150);
    const before = saying('WATCHDOG').length;
    await pause(150);
    expect(saying('WATCHDOG').length).toBe(before);
    state(working);
    await until(() => saying('WATCHDOG').length > before);
  });
});

describe('more time', () => {
  const extensions = () => saying('EXTEND_TIMEOUT_USEC').map((call) => Number(call.EXTEND_TIMEOUT_USEC));

  test('is asked for again and again while an issue drains, and not once after it', async () => {
    const { state } = start({}, { paces: { ...QUIET, extendEveryMs: 40 } });
    state({ ...working, running: [one] });
    await said('READY');
    await pause(100);
    expect(extensions()).toEqual([]);
    state({ ...working, phase: 'draining', running: [one] });
    expect(await said('STOPPING')).toBeDefined();
    await until(() => extensions().length >= 3);
    expect(new Set(extensions())).toEqual(new Set([30_000_000]));
    state({ ...working, phase: 'draining', leavesBy: new Date(Date.now() + 10_000) });
    await until(() => systemd.calls().at(-1)!.STATUS === 'stopping');
    const before = extensions().length;
    await pause(200);
    expect(extensions().length).toBe(before);
  });

  test('is asked for once for the last words, as long as they may take', async () => {
    const { state } = start({}, { paces: { ...QUIET, extendEveryMs: 40 } });
    state({ ...working, running: [one] });
    state({ ...working, phase: 'draining', running: [one] });
    const leavesBy = new Date(Date.now() + 285_000);
    state({ ...working, phase: 'draining', unwritten: [7], leavesBy, away });
    await until(() => extensions().at(-1)! > 30_000_000);
    expect(extensions().at(-1)! / 1e6).toBeGreaterThan(310);
    expect(extensions().at(-1)! / 1e6).toBeLessThanOrEqual(315);
    await pause(200);
    expect(extensions().filter((usec) => usec > 30_000_000)).toHaveLength(1);
  });

  test('is not asked for by a worker that stops with nothing in its hands', async () => {
    const { state } = start({}, { paces: { ...QUIET, extendEveryMs: 40 } });
    state(working);
    state({ ...working, phase: 'draining', leavesBy: new Date(Date.now() + 10_000) });
    await said('STOPPING');
    await pause(150);
    expect(extensions()).toEqual([]);
  });

  test('is asked for while the tables are brought up to date, but not by a unit that is up', async () => {
    const { state } = start({}, { paces: { ...QUIET, extendEveryMs: 40 } });
    state({ ...starting, phase: 'migrating' });
    await until(() => extensions().length >= 2);
    state({ ...starting, phase: 'migrating', away });
    await said('READY');
    const before = extensions().length;
    await pause(200);
    expect(extensions().length).toBe(before);
  });

  test('is asked for while the database is started, before there is a worker', async () => {
    let finish!: (database: string) => void;
    const database = start({}, { paces: { ...QUIET, extendEveryMs: 40 } }).during(
      'starting the database',
      new Promise<string>((done) => (finish = done)),
    );
    await until(() => extensions().length >= 2);
    expect(systemd.calls().at(-1)).toMatchObject({ socket: '/run/fake/notify' });
    finish('it');
    expect(await database).toBe('it');
    const before = extensions().length;
    await pause(150);
    expect(extensions().length).toBeLessThanOrEqual(before + 1);
  });
});

describe('the end', () => {
  test('says why a worker failed, without its secrets, on one line', async () => {
    const manager = start({}, { secrets: ['hunter2hunter2'] });
    await manager.close('the login hunter2hunter2\nwas refused');
    expect(systemd.calls().at(-1)).toMatchObject({ STATUS: 'failed: the login ***\\nwas refused' });
    manager.state(working);
    await manager.close(null);
    expect(saying('READY')).toEqual([]);
  });

  test('does not wait for a service manager that hangs', async () => {
    systemd.set('hold', true);
    const manager = start();
    await said('STATUS');
    const before = performance.now();
    await manager.close('out of order');
    expect(performance.now() - before).toBeLessThan(4000);
    systemd.set('hold', false);
    await until(() => systemd.calls());
  });
});

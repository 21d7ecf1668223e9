/** Installing on a machine whose systemd is a fake: the plan, what is written and asked, and what is said of it. */
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'dotenv';
import { beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { register } from '../../src/queue/workers.js';
import { startUp, writeDown } from '../../src/service/install.js';
import { findService } from '../../src/service/installed.js';
import type { ServiceState } from '../../src/service/manager.js';
import { openManager } from '../../src/service/open-manager.js';
import { type InstallWish, isUnchanged, planInstall } from '../../src/service/plan.js';
import { preflight } from '../../src/service/preflight.js';
import { programOf } from '../../src/service/program.js';
import { shownFiles } from '../../src/service/show-plan.js';
import { carryOutRemoval, planRemoval } from '../../src/service/uninstall.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { until } from '../support/until.js';
import { type FakeMachine, fakeMachine } from './fake-systemd.js';

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const PROGRAM = programOf(MAIN, process.execPath);
const PID = 4242;
const RUNS = { ActiveState: 'active', UnitFileState: 'enabled' };
const UNIT = 'cape-worker-a.service';

let database: TestDatabase;
let machine: FakeMachine;

beforeAll(async () => {
  database = await createTestDatabase();
  const self = { id: 'a', instance: crypto.randomUUID(), host: hostname(), machine: 'm', pid: PID };
  await register(database.db, { ...self, pidStart: '1', version: '0', slots: 1, logDir: null });
});

beforeEach(() => {
  machine = fakeMachine();
  machine.afterStart({ ActiveState: 'active', MainPID: PID });
  machine.journal('');
});

function wish(more: Partial<InstallWish> = {}): InstallWish {
  return {
    workerId: 'a',
    scope: 'user',
    allowRoot: true,
    logDir: join(machine.dir, 'logs'),
    variables: { CAPE_COMMAND: 'true' },
    database: { DATABASE_URL: database.url },
    askPath: false,
    ...more,
  };
}

async function plan(more: Partial<InstallWish> = {}) {
  return planInstall(wish(more), await openManager('user', machine.host), PROGRAM, machine.host);
}

const said: string[] = [];
const states: ServiceState[] = [];

async function installNow(more: Partial<InstallWish> = {}, options: { start?: boolean; wait?: boolean } = {}) {
  said.length = states.length = 0;
  const handlers = { say: (line: string) => said.push(line), onState: (state: ServiceState) => states.push(state) };
  const all = { start: true, wait: true, renew: false, doubts: [], ...options, ...handlers };
  const planned = await plan(more);
  return startUp(planned, await writeDown(planned, machine.host, all), all);
}

const unitFile = () => join(machine.dir, 'home/.config/systemd/user', UNIT);
const envFile = () => join(machine.dir, 'home/.config/cape-worker/a.env');
const env = () => parse(readFileSync(envFile()));

const reason = process.platform === 'linux' ? null : 'accounts are asked of getent, which only Linux has';
if (reason !== null) console.log(`skipped: installing with a fake systemd: ${reason}`);

describe.skipIf(reason !== null)('a new service', () => {
  test('is planned before anything is written', async () => {
    const planned = await plan({ variables: { CAPE_COMMAND: 'true', CAPE_GRACE: '20s' } });
    expect(planned.unit).toMatchObject({ path: unitFile(), before: null });
    expect(planned.unit.after).toContain(`ExecStart=`);
    expect(planned.spec).toMatchObject({
      workerId: 'a',
      scope: 'user',
      graceMs: 20_000,
      harden: false,
      envFile: envFile(),
    });
    expect(parse(planned.env.after)).toEqual({
      DATABASE_URL: database.url,
      CAPE_COMMAND: 'true',
      CAPE_GRACE: '20s',
      CAPE_LOG_DIR: join(machine.dir, 'logs'),
    });
    expect(existsSync(join(machine.dir, 'home/.config'))).toBe(false);
    expect(machine.calls()).toEqual([]);
  });

  test('is written, made known, enabled, started, and seen in the database', async () => {
    const installed = await installNow();
    expect(installed).toMatchObject({ action: 'started', pid: PID, problem: null, written: [envFile(), unitFile()] });
    expect(machine.calls()).toEqual([
      'loginctl enable-linger',
      'systemctl daemon-reload',
      `systemctl enable ${UNIT}`,
      `systemctl start ${UNIT}`,
    ]);
    expect(statSync(envFile()).mode & 0o777).toBe(0o600);
    expect(statSync(unitFile()).mode & 0o777).toBe(0o644);
    expect(readFileSync(unitFile(), 'utf8')).not.toContain(database.url);
    expect(statSync(join(machine.dir, 'logs')).isDirectory()).toBe(true);
  });

  test('with --no-start is enabled and not started', async () => {
    expect(await installNow({}, { start: false })).toMatchObject({ action: 'not started', pid: null });
    expect(machine.calls().filter((call) => call.startsWith('systemctl'))).toEqual([
      'systemctl daemon-reload',
      `systemctl enable ${UNIT}`,
    ]);
  });

  test('without a database is refused, with what to do', async () => {
    await expect(plan({ database: {} })).rejects.toThrow(/DATABASE_URL: got nothing; .*--with-database.*a\.env/);
  });

  test('with settings that do not fit together is refused, naming the file', async () => {
    await expect(plan({ variables: { CAPE_LEASE: '5s' } })).rejects.toThrow(
      `${envFile()}: CAPE_LEASE: got 5s; must be at least`,
    );
    await expect(plan({ variables: { CAPE_ONCE: 'true' } })).rejects.toThrow('CAPE_ONCE: not for a service');
  });

  test('in the place of a unit that somebody else wrote is refused', async () => {
    mkdirSync(join(machine.dir, 'home/.config/systemd/user'), { recursive: true });
    writeFileSync(unitFile(), '[Service]\nExecStart=/usr/bin/old-worker\n');
    await expect(plan()).rejects.toThrow(`${unitFile()} is there, and this program did not write it`);
  });

  test('with the installed database does not take it in the place of another one in silence', async () => {
    mkdirSync(join(machine.dir, 'home/.config/cape-worker'), { recursive: true });
    writeFileSync(envFile(), 'DATABASE_URL=postgres://cape:secret@db.example/cape\n');
    await expect(plan({ withDatabase: true })).rejects.toThrow(
      `--with-database: DATABASE_URL in ${envFile()} names another database; take it out there`,
    );
    // That of whoever installs is not meant then.
    writeFileSync(envFile(), '');
    expect(parse((await plan({ withDatabase: true })).env.after)).not.toHaveProperty('DATABASE_URL');
  });

  test('takes the database of whoever installs only where the env file has none', async () => {
    mkdirSync(join(machine.dir, 'home/.config/cape-worker'), { recursive: true });
    writeFileSync(envFile(), '# mine\nDATABASE_URL=postgres://other/db\nANTHROPIC_API_KEY=secret-key\n');
    const planned = await plan();
    expect(planned.env.after).toContain('# mine\nDATABASE_URL=postgres://other/db\nANTHROPIC_API_KEY=secret-key\n');
    expect(planned.envLoose).toBe(true);
  });
});

describe.skipIf(reason !== null)('an env file that was there before', () => {
  const given = () => join(machine.dir, 'given.env');

  test('is not taken from somebody else', async () => {
    if (process.getuid?.() !== 0) return console.log('skipped: only root can give a file away');
    writeFileSync(given(), 'A=1\n', { mode: 0o640 });
    chownSync(given(), 4242, 4242);
    await expect(plan({ envFile: given() })).rejects.toThrow(
      /^--env-file: .*given\.env belongs to user 4242, and the worker runs as \S+ \(0\); chown it to \S+ if/,
    );
    expect(statSync(given())).toMatchObject({ uid: 4242, gid: 4242 });
  });

  test('is not rewritten where it holds other lines, which are not shown', async () => {
    writeFileSync(given(), '# accounts\nroot:s3cret:19000:0\n', { mode: 0o600 });
    const refused = `${given()}: line 2 is not NAME=value, so it is not rewritten; mend or remove that line`;
    await expect(installNow({ envFile: given() })).rejects.toThrow(refused);
    await expect(plan({ envFile: given() })).rejects.not.toThrow('s3cret');
    expect(readFileSync(given(), 'utf8')).not.toContain('CAPE_');
  });

  test('is kept by one that changes nothing in it, whatever its lines', async () => {
    await installNow({ envFile: given() }, { start: false });
    writeFileSync(given(), `${readFileSync(given(), 'utf8')}an old note\n`);
    expect(isUnchanged(await plan())).toBe(true);
    await expect(plan({ variables: { CAPE_CONCURRENCY: '3' } })).rejects.toThrow(/line \d is not NAME=value/);
  });
});

describe.skipIf(reason !== null)('beside another service', () => {
  beforeEach(async () => {
    await installNow({ workerId: 'b' }, { start: false });
  });

  const unitOfB = () => unitFile().replace('-a.', '-b.');
  const fileOfB = () => envFile().replace('a.env', 'b.env');

  test('its env file is not taken', async () => {
    symlinkSync(join(machine.dir, 'home/.config'), join(machine.dir, 'conf'));
    for (const path of [fileOfB(), join(machine.dir, 'conf/cape-worker/b.env')]) {
      await expect(plan({ envFile: path })).rejects.toThrow(
        /b\.env is that of the service b \(--user\); every service/,
      );
    }
  });

  test('its id is not taken in the other scope with the same log folder', async () => {
    const system = join(machine.dir, 'etc/systemd/system');
    mkdirSync(system, { recursive: true });
    writeFileSync(join(system, 'cape-worker-a.service'), readFileSync(unitOfB(), 'utf8').replaceAll('"b"', '"a"'));
    rmSync(unitOfB());
    const text = readFileSync(join(system, 'cape-worker-a.service'), 'utf8').replaceAll('=b\n', '=a\n');
    writeFileSync(join(system, 'cape-worker-a.service'), text);
    await expect(plan()).rejects.toThrow(
      /the service a \(--system\) has the same id and the same log folder, .*logs; choose another id, or --log-dir/,
    );
    expect((await plan({ logDir: join(machine.dir, 'others') })).settings.warnings).toEqual([]);
  });

  test('another database in the same log folder is warned of', async () => {
    expect((await plan()).settings.warnings).toEqual([]);
    const other = { DATABASE_URL: 'postgres://cape:secret@db.example/other' };
    const { warnings } = (await plan({ database: other })).settings;
    expect(warnings).toEqual([expect.stringMatching(/^the service b \(--user\) logs to .*logs too, and has another/)]);
    expect((await plan({ database: other, logDir: join(machine.dir, 'others') })).settings.warnings).toEqual([]);
  });
});

describe.skipIf(reason !== null)('the same install again', () => {
  beforeEach(async () => {
    await installNow();
    machine.calls();
    const before = new Date(Date.now() - 60_000);
    utimesSync(envFile(), before, before);
  });

  test('changes nothing and asks for nothing', async () => {
    const again = await plan();
    expect(isUnchanged(again)).toBe(true);
    expect(shownFiles(again).map(({ change }) => change)).toEqual(['unchanged', 'unchanged']);
    expect(await installNow()).toMatchObject({ action: 'none', written: [], pid: PID });
    expect(machine.calls()).toEqual([]);
    expect(said).toEqual([]);
  });

  test('keeps what is not named', async () => {
    machine.says(UNIT, { ...RUNS, MainPID: 1111 });
    await installNow({ harden: true, variables: { CAPE_CONCURRENCY: '3' } });
    const planned = await plan({ logDir: undefined, database: {}, variables: {} });
    expect(isUnchanged(planned)).toBe(true);
    expect(planned.spec).toMatchObject({ harden: true, logDir: join(machine.dir, 'logs') });
    expect(env()).toMatchObject({ CAPE_COMMAND: 'true', CAPE_CONCURRENCY: '3' });
  });

  test.each([
    ['logs', 'home/logs'],
    ['', 'logs'],
  ])('takes a log folder "%s" of the env file as the worker does', async (named, folder) => {
    const text = readFileSync(envFile(), 'utf8');
    writeFileSync(envFile(), text.replace(/^CAPE_LOG_DIR=.*$/m, `CAPE_LOG_DIR=${named}`));
    machine.says(UNIT, { ...RUNS, MainPID: 1111 });
    await installNow({ logDir: undefined, workingDir: join(machine.dir, 'home') });
    const { spec } = await findService('a', machine.host);
    expect(spec.logDir).toBe(join(machine.dir, folder));
    expect(env().CAPE_LOG_DIR).toBe(spec.logDir);
  });

  test('with a change shows it, and restarts what runs', async () => {
    const planned = await plan({ variables: { CAPE_CONCURRENCY: '3' } });
    expect(shownFiles(planned)[1]?.difference).toContainEqual({ sign: '+', text: 'CAPE_CONCURRENCY=3' });
    machine.says(UNIT, { ...RUNS, MainPID: 1111 });
    expect(await installNow({ variables: { CAPE_CONCURRENCY: '3' } })).toMatchObject({ action: 'restarted', pid: PID });
    expect(machine.calls()).toEqual([`systemctl restart ${UNIT}`]);
  });

  test('with --no-wait only asks for the restart', async () => {
    const asked = await installNow({ variables: { CAPE_CONCURRENCY: '3' } }, { wait: false });
    expect(asked.action).toBe('restart asked for');
    expect(machine.calls()).toEqual([`systemctl restart ${UNIT}`]);
  });

  test('starts what was stopped, and enables what was disabled', async () => {
    machine.says(UNIT, { ActiveState: 'inactive', MainPID: 0, UnitFileState: 'disabled' });
    expect(await installNow()).toMatchObject({ action: 'started', written: [] });
    expect(machine.calls()).toEqual([`systemctl enable ${UNIT}`, `systemctl start ${UNIT}`]);
  });

  test('waits without a limit for one that drains, and starts it then', async () => {
    const draining = { ActiveState: 'deactivating', UnitFileState: 'enabled', MainPID: 1111 };
    machine.says(UNIT, draining);
    machine.afterStart(draining);
    const began = performance.now();
    const clock = vi.spyOn(performance, 'now').mockImplementation(() => began);
    const installing = installNow();
    await until(() => states.length > 0, { what: 'a look at it' });
    clock.mockImplementation(() => began + 3_600_000);
    const looks = states.length;
    await until(() => states.length > looks + 2, { what: 'some more' });
    clock.mockRestore();
    machine.says(UNIT, { ...RUNS, MainPID: PID });
    expect(await installing).toMatchObject({ action: 'started', problem: null, pid: PID });
  });

  test('restarts a process that is older than its env file', async () => {
    machine.says(UNIT, { ...RUNS, MainPID: 1111, StateChangeTimestamp: 'Mon 2020-11-23 00:37:12 UTC' });
    expect(await installNow()).toMatchObject({ action: 'restarted', written: [] });
  });

  test('closes an env file that was opened to others', async () => {
    machine.says(UNIT, { ...RUNS, MainPID: 1111 });
    chmodSync(envFile(), 0o644);
    expect((await installNow()).written).toEqual([envFile()]);
    expect(statSync(envFile()).mode & 0o777).toBe(0o600);
  });
});

describe.skipIf(reason !== null)('what is shown of a plan', () => {
  test('holds no secret, and says which one changes', async () => {
    await installNow({ variables: { ANTHROPIC_API_KEY: 'old-secret-key' } });
    const url = 'postgres://cape:old-password@db/cape';
    writeFileSync(envFile(), readFileSync(envFile(), 'utf8').replace(/^DATABASE_URL=.*$/m, `DATABASE_URL=${url}`));
    const changes = { ANTHROPIC_API_KEY: 'new-secret-key', DATABASE_URL: 'postgres://cape:new-password@db/cape' };
    const shown = JSON.stringify(shownFiles(await plan({ variables: changes })));
    expect(shown).not.toMatch(/secret-key|old-password|new-password/);
    expect(shown).toContain('ANTHROPIC_API_KEY=*** (another one)');
    expect(shown).toContain('DATABASE_URL=postgres://cape:***@db/cape (another one)');
  });
});

describe.skipIf(reason !== null)('a service that does not come up', () => {
  test('is reported at once where it failed, with the end of its log and no secret in it', async () => {
    const { password } = new URL(database.url);
    machine.afterStart({ ActiveState: 'failed', MainPID: 0, ExecMainCode: 1, ExecMainStatus: 78 });
    machine.journal(`first line\n-- Boot --\nsaid ${database.url}\n`);
    const installed = await installNow();
    expect(installed).toMatchObject({ action: 'started', problem: 'it failed (exit code 78)' });
    expect(installed.log).toEqual(['first line', 'said ***']);
    expect(installed.log.join()).not.toContain(`:${password}@`);
  });

  test('is reported without the lines of earlier starts, where the journal knows which those are', async () => {
    const id = 'ab'.repeat(16);
    machine.afterStart({ ActiveState: 'failed', MainPID: 0, InvocationID: id });
    machine.journal('old line\nnew line\n');
    expect((await installNow()).log).toEqual(['old line', 'new line']);
    writeFileSync(join(machine.dir, `systemd/journal-${id}`), 'new line\n');
    expect((await installNow()).log).toEqual(['new line']);
  });

  test('is reported where it ended and waits for its next try', async () => {
    machine.afterStart({ ActiveState: 'activating', MainPID: 0, ExecMainCode: 1, ExecMainStatus: 69 });
    expect((await installNow()).problem).toBe('it ended (exit code 69), and is started again by itself');
  });

  test('where systemd refuses says what is there already, and how to go on', async () => {
    machine.refuse('enable', 'Failed to enable unit: it is masked');
    await expect(installNow()).rejects.toThrow(
      /Failed to enable unit: it is masked; already written: .*a\.env, .*cape-worker-a\.service; mend the cause and run the same command again, or take it back: cape-worker service uninstall a --user$/,
    );
    machine.forgive('enable');
    expect(await installNow()).toMatchObject({ action: 'started', written: [], problem: null });
  });

  test('cannot linger is a warning', async () => {
    machine.refuse('enable-linger', 'Access denied');
    // Somebody is logged in, else nothing could be asked.
    machine.login();
    const { warnings, problem } = await installNow();
    expect(problem).toBeNull();
    expect(warnings).toEqual([
      expect.stringMatching(/^it will run only while \S+ is logged in: Access denied; sudo loginctl/),
    ]);
  });
});

describe.skipIf(reason !== null)('before anything is written', () => {
  test('a working folder that is none is refused', async () => {
    const planned = await plan({ workingDir: join(machine.dir, 'nowhere') });
    await expect(preflight(planned, PROGRAM, machine.host, { start: true })).rejects.toThrow(
      /--working-dir: got ".*nowhere", which is no folder/,
    );
  });

  test('a command that is not there is refused, with the PATH that was looked in', async () => {
    const planned = await plan({ variables: { CAPE_COMMAND: 'no-such-agent {id}' } });
    await expect(preflight(planned, PROGRAM, machine.host, { start: true })).rejects.toThrow(
      /^--command: "no-such-agent": not found on PATH; PATH of the service: \/.*; choose another by --command, or .*--no-start$/,
    );
  });

  test('where it is not to be started, a command that is not there is warned of, as is a database that is away', async () => {
    const away = { DATABASE_URL: 'postgres://cape:secret@127.0.0.1:1/cape', CAPE_COMMAND: 'no-such-agent {id}' };
    const doubts = await preflight(await plan({ variables: away }), PROGRAM, machine.host, { start: false });
    expect(doubts).toHaveLength(2);
    expect(doubts[0]).toMatch(/^--command: "no-such-agent": not found on PATH; PATH of the service: \//);
    expect(doubts[1]).toMatch(/127\.0\.0\.1:1.*ECONNREFUSED.*the service will wait for it/);
    expect(doubts.join()).not.toContain('secret');
  });
});

describe.skipIf(reason !== null)('uninstalling', () => {
  async function uninstallNow(purge: boolean) {
    const service = await findService('a', machine.host);
    const removal = await planRemoval(service, purge, machine.host);
    await carryOutRemoval(removal, { now: false, say: (line) => said.push(line) }, machine.host);
    return removal;
  }

  test('stops, disables and removes what install made, lingering too; the logs stay', async () => {
    await installNow();
    writeFileSync(join(machine.dir, 'logs/worker_a-2026-03-01.log'), '');
    machine.calls();
    await uninstallNow(false);
    expect(machine.calls()).toEqual([
      `systemctl stop ${UNIT}`,
      `systemctl disable ${UNIT}`,
      'systemctl daemon-reload',
      `systemctl reset-failed ${UNIT}`,
      'loginctl disable-linger',
    ]);
    for (const file of [unitFile(), envFile(), join(machine.dir, 'home/.local/state/cape-worker')])
      expect(existsSync(file), file).toBe(false);
    expect(existsSync(join(machine.dir, 'logs/worker_a-2026-03-01.log'))).toBe(true);
    await expect(findService('a', machine.host)).rejects.toThrow(
      'a is not installed as a service; no service is installed',
    );
  });

  test('with --purge removes the logs of this worker, and those of the issues with the last one', async () => {
    await installNow({ workerId: 'a.b' }, { start: false });
    await installNow({}, { start: false });
    const logs = join(machine.dir, 'logs');
    for (const folder of ['issues/7', '.state/a', '.state/a.b']) mkdirSync(join(logs, folder), { recursive: true });
    const names = [
      'worker_a.log',
      'worker_a-2026-03-01.log',
      '.worker_a-audit.json',
      'worker_axb.log',
      'worker_a.b.log',
    ];
    for (const name of names) writeFileSync(join(logs, name), '');
    expect((await uninstallNow(true)).purged.map((path) => path.slice(logs.length + 1))).toEqual([
      '.state/a',
      '.worker_a-audit.json',
      'worker_a-2026-03-01.log',
      'worker_a.log',
    ]);
    expect(existsSync(join(logs, 'issues/7'))).toBe(true);
    const last = async () => planRemoval(await findService('a.b', machine.host), true, machine.host);
    // Of a worker that can't be seen from here, as a user's by root.
    for (const trace of ['worker_axb.log', '.worker_other-audit.json', '.state/other']) {
      rmSync(join(logs, 'worker_axb.log'), { force: true });
      mkdirSync(join(logs, trace));
      expect((await last()).purged, trace).not.toContain(join(logs, 'issues'));
      rmSync(join(logs, trace), { recursive: true });
    }
    expect((await last()).purged).toContain(join(logs, 'issues'));
    expect((await last()).unlinger).toBe(true);
  });

  test('with --purge removes also a log folder that nothing was written to', async () => {
    await installNow({}, { start: false });
    await uninstallNow(true);
    expect(existsSync(join(machine.dir, 'logs'))).toBe(false);
  });

  test('leaves logs and state to a service of the same id in the other scope', async () => {
    await installNow({}, { start: false });
    mkdirSync(join(machine.dir, 'logs/.state/a'), { recursive: true });
    const system = join(machine.dir, 'etc/systemd/system');
    mkdirSync(system, { recursive: true });
    copyFileSync(unitFile(), join(system, UNIT));
    const removal = await uninstallNow(true);
    expect(removal).toMatchObject({ purged: [], envFile: null });
    expect(removal.kept).toMatch(/its logs and state in .*logs stay: they are also those of the --system service$/);
    expect(existsSync(join(machine.dir, 'logs/.state/a'))).toBe(true);
    expect(existsSync(envFile())).toBe(true);
  });

  test('with --purge says where the log folder is none, and goes on', async () => {
    await installNow({}, { start: false });
    rmSync(join(machine.dir, 'logs'), { recursive: true });
    writeFileSync(join(machine.dir, 'logs'), '');
    const removal = await uninstallNow(true);
    expect(removal.kept).toMatch(/its logs and state in .*logs stay: ENOTDIR/);
    expect([existsSync(unitFile()), existsSync(join(machine.dir, 'logs'))]).toEqual([false, true]);
  });

  test('leaves the database that came with it to a worker that was given its URL', async () => {
    await installNow({ workerId: 'b' }, { start: false });
    await installNow({}, { start: false });
    const text = readFileSync(unitFile(), 'utf8');
    writeFileSync(unitFile(), text.replace('withDatabase=false', 'withDatabase=true'));
    const planned = async () => planRemoval(await findService('a', machine.host), true, machine.host);
    expect(await planned()).toMatchObject({ database: false, databaseUsers: ['b'] });
    rmSync(unitFile().replace('-a.', '-b.'));
    expect(await planned()).toMatchObject({ database: true, databaseUsers: [] });
  });

  test('leaves an env file that lies elsewhere, and lingering that somebody else switched on', async () => {
    const elsewhere = join(machine.dir, 'own.env');
    writeFileSync(join(machine.dir, 'systemd/linger'), 'yes\n');
    machine.login();
    await installNow({ envFile: elsewhere });
    const removal = await uninstallNow(false);
    expect(removal).toMatchObject({ envFile: null, unlinger: false });
    expect(existsSync(elsewhere)).toBe(true);
  });

  test('one that is not installed says what may be meant', async () => {
    await installNow({ workerId: 'alleycat-1' }, { start: false });
    await expect(findService('alleycat1', machine.host)).rejects.toThrow(
      'did you mean alleycat-1? Installed: alleycat-1',
    );
    rmSync(join(machine.dir, 'run'), { recursive: true });
    await expect(findService('a', machine.host)).rejects.toThrow('no systemd runs this machine');
  });
});

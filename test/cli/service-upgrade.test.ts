/** `service upgrade` and `restart` on a machine whose systemd is a fake. */
import { writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { install } from '../../src/cli/service-install.js';
import { list } from '../../src/cli/service-list.js';
import { restart, start } from '../../src/cli/service-start.js';
import { uninstall } from '../../src/cli/service-uninstall.js';
import { upgrade } from '../../src/cli/service-upgrade.js';
import { claim, START } from '../../src/queue/claim.js';
import { register } from '../../src/queue/workers.js';
import type { Host } from '../../src/service/host.js';
import { type FakeMachine, fakeMachine } from '../service/fake-systemd.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { until } from '../support/until.js';

const here = vi.hoisted(() => ({ host: null as Host | null }));

vi.mock('../../src/cli/service-options.js', async (original) => ({
  ...(await original<object>()),
  thisHost: () => here.host,
}));

const UNIT = 'cape-worker-a.service';
const PID = 4242;

const reason = process.platform === 'linux' ? null : 'accounts are asked of getent, which only Linux has';
if (reason !== null) console.log(`skipped: upgrading with a fake systemd: ${reason}`);

describe.skipIf(reason !== null)('an installed service', () => {
  let machine: FakeMachine;
  let database: TestDatabase;
  const instance = crypto.randomUUID();
  let printed: Record<'stdout' | 'stderr', string>;
  const install1 = (id: string) => install.run({ words: [id], flags: installFlags() });
  const installFlags = () => ({
    ...{ user: true, start: false, 'allow-root': true, 'working-dir': machine.dir, 'log-dir': machine.dir },
    ...{ command: 'true', harden: true },
  });
  const spoil = (id: string) => {
    const file = join(machine.dir, `home/.config/cape-worker/${id}.env`);
    writeFileSync(file, 'DATABASE_URL=nonsense\n', { mode: 0o600 });
  };

  beforeEach(async () => {
    machine = fakeMachine();
    here.host = machine.host;
    machine.journal('');
    machine.afterStart({ ActiveState: 'active', MainPID: PID });
    printed = { stdout: '', stderr: '' };
    for (const stream of ['stdout', 'stderr'] as const)
      vi.spyOn(process[stream], 'write').mockImplementation((text) => {
        printed[stream] += text;
        return true;
      });
    database = await createTestDatabase();
    const self = { id: 'a', instance, host: hostname(), machine: 'm', pid: PID };
    await register(database.db, { ...self, pidStart: '1', version: '0', slots: 1, logDir: null });
    vi.stubEnv('DATABASE_URL', database.url);
    await install1('a');
    machine.calls();
    printed.stdout = '';
    return () => {
      vi.unstubAllEnvs();
      vi.restoreAllMocks();
    };
  });

  test('that is stopped stays so through an upgrade', async () => {
    machine.says(UNIT, { ActiveState: 'inactive', MainPID: 0, UnitFileState: 'enabled' });
    expect(await upgrade.run({ words: ['a'], flags: {} })).toBe(0);
    expect(machine.calls()).toEqual([]);
  });

  test('that failed is started by an upgrade', async () => {
    machine.says(UNIT, { ActiveState: 'failed', MainPID: 0, UnitFileState: 'enabled' });
    expect(await upgrade.run({ words: ['a'], flags: {} })).toBe(0);
    expect(machine.calls()).toEqual([`systemctl start ${UNIT}`]);
  });

  test('that can not be upgraded keeps no other one from it', async () => {
    await install1('b');
    for (const id of ['a', 'b'])
      machine.says(`cape-worker-${id}.service`, { ActiveState: 'failed', MainPID: 0, UnitFileState: 'enabled' });
    spoil('b');
    machine.calls();
    printed.stdout = '';
    expect(await upgrade.run({ words: ['b', 'a'], flags: { json: true } })).toBe(1);
    expect(machine.calls()).toEqual([`systemctl start ${UNIT}`]);
    expect(JSON.parse(printed.stdout)).toMatchObject([
      { workerId: 'b', problem: expect.stringContaining('b.env: database URL ') },
      { workerId: 'a', action: 'started', problem: null },
    ]);
    expect(await upgrade.run({ words: ['b'], flags: {} })).toBe(78);
    expect(printed.stderr).toMatch(/cape-worker-b\.service is not upgraded: .*b\.env: database URL /);
  });

  test('with settings that it could not use is not taken down for a restart', async () => {
    machine.says(UNIT, { ActiveState: 'active', MainPID: PID, UnitFileState: 'enabled' });
    spoil('a');
    expect(await restart.run({ words: ['a'], flags: {} })).toBe(78);
    expect(await restart.run({ words: ['a'], flags: { now: true } })).toBe(78);
    expect(printed.stderr).toMatch(/a\.env: database URL .*; cape-worker-a\.service is not restarted$/m);
    machine.says(UNIT, { ActiveState: 'inactive', MainPID: 0, UnitFileState: 'enabled' });
    expect(await start.run({ words: ['a'], flags: {} })).toBe(78);
    expect(machine.calls()).toEqual([]);
  });

  test('is not looked for elsewhere in silence: list and upgrade say where they looked', async () => {
    here.host = {
      ...machine.host,
      uid: 1234,
      home: '/nowhere',
      environment: { ...machine.host.environment, XDG_CONFIG_HOME: '/nowhere' },
    };
    expect(await upgrade.run({ words: [], flags: {} })).toBe(0);
    expect(printed.stdout).toBe('no service of your own is installed; --system looks at those of the machine\n');
    await list.run({ words: [], flags: { user: true } });
    expect(printed.stdout).toMatch(/\nno service of your own is installed; --system /);
  });

  test('is still installed where its stop before the uninstalling is no longer waited for', async () => {
    machine.says(UNIT, { ActiveState: 'active', MainPID: PID, UnitFileState: 'enabled' });
    machine.hang('stop');
    await database.sql`insert into cape_issues (description) values ('slow')`;
    await claim(database.db, {
      worker: 'a',
      instance,
      limit: 1,
      token: crypto.randomUUID(),
      leaseSeconds: 300,
      hint: START,
    });
    const uninstalling = uninstall.run({ words: ['a'], flags: {} });
    await until(() => printed.stderr.includes('waits for issue 1, attempt 1'));
    process.emit('SIGINT', 'SIGINT');
    expect(await uninstalling).toBe(130);
    expect(printed.stderr).toMatch(/is still installed, and no longer waited for; stopping goes on; /);
    expect(await list.run({ words: [], flags: {} })).toBe(0);
    expect(printed.stdout).toMatch(/^a +user/m);
  });
});

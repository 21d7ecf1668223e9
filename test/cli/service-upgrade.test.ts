/** `service upgrade` on a machine whose systemd is a fake. */
import { hostname } from 'node:os';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { install } from '../../src/cli/service-install.js';
import { upgrade } from '../../src/cli/service-upgrade.js';
import { register } from '../../src/queue/workers.js';
import type { Host } from '../../src/service/host.js';
import { type FakeMachine, fakeMachine } from '../service/fake-systemd.js';
import { createTestDatabase } from '../support/database.js';

const here = vi.hoisted(() => ({ host: null as Host | null }));

vi.mock('../../src/cli/service-options.js', async (original) => ({
  ...(await original<object>()),
  thisHost: () => here.host,
}));

const UNIT = 'cape-worker-a.service';
const PID = 4242;

const reason = process.platform === 'linux' ? null : 'accounts are asked of getent, which only Linux has';
if (reason !== null) console.log(`skipped: upgrading with a fake systemd: ${reason}`);

describe.skipIf(reason !== null)('an upgrade', () => {
  let machine: FakeMachine;

  beforeEach(async () => {
    machine = fakeMachine();
    here.host = machine.host;
    machine.journal('');
    machine.afterStart({ ActiveState: 'active', MainPID: PID });
    for (const stream of ['stdout', 'stderr'] as const) vi.spyOn(process[stream], 'write').mockReturnValue(true);
    const database = await createTestDatabase();
    const self = { id: 'a', instance: crypto.randomUUID(), host: hostname(), machine: 'm', pid: PID };
    await register(database.db, { ...self, pidStart: '1', version: '0', slots: 1, logDir: null });
    vi.stubEnv('DATABASE_URL', database.url);
    const flags = { user: true, start: false, 'allow-root': true, 'working-dir': machine.dir, 'log-dir': machine.dir };
    await install.run({ words: ['a'], flags: { ...flags, command: 'true', harden: true } });
    machine.calls();
    return () => {
      vi.unstubAllEnvs();
      vi.restoreAllMocks();
    };
  });

  test('leaves a stopped service stopped', async () => {
    machine.says(UNIT, { ActiveState: 'inactive', MainPID: 0, UnitFileState: 'enabled' });
    expect(await upgrade.run({ words: ['a'], flags: {} })).toBe(0);
    expect(machine.calls()).toEqual([]);
  });

  test('starts one that failed', async () => {
    machine.says(UNIT, { ActiveState: 'failed', MainPID: 0, UnitFileState: 'enabled' });
    expect(await upgrade.run({ words: ['a'], flags: {} })).toBe(0);
    expect(machine.calls()).toEqual([`systemctl start ${UNIT}`]);
  });
});

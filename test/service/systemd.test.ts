/** What systemd is asked, where the moment matters. */
import { beforeEach, describe, expect, test } from 'vitest';
import type { ServiceManager } from '../../src/service/manager.js';
import { openSystemd } from '../../src/service/systemd.js';
import { runTool } from '../../src/service/tool.js';
import { type FakeMachine, fakeMachine } from './fake-systemd.js';

const UNIT = 'cape-worker-a.service';
const KILL = `systemctl kill --kill-who=main --signal=TERM ${UNIT}`;

describe('the second signal of --now', () => {
  let machine: FakeMachine;
  let manager: ServiceManager;

  beforeEach(async () => {
    machine = fakeMachine();
    manager = await openSystemd('system', machine.host);
    machine.says(UNIT, { ActiveState: 'active', MainPID: 1111 });
  });

  test('goes to a worker that drains', async () => {
    machine.afterStart({ ActiveState: 'deactivating' });
    await manager.restart('a', { now: true });
    expect(machine.calls()).toEqual([`systemctl restart ${UNIT}`, KILL]);
  });

  test('does not go to the process that has been started in its place', async () => {
    machine.afterStart({ ActiveState: 'active', MainPID: 2222 });
    await manager.restart('a', { now: true });
    expect(machine.calls()).toEqual([`systemctl restart ${UNIT}`]);
  });

  test('is not sent where nothing ran', async () => {
    machine.says(UNIT, { ActiveState: 'inactive', MainPID: 0 });
    await manager.stop('a', { now: true });
    expect(machine.calls()).toEqual([`systemctl stop ${UNIT}`, `systemctl stop ${UNIT}`]);
  });
});

test('a tool of the system is found also where PATH has not its folder', async () => {
  expect(await runTool('sh', ['-c', 'exit 7'], { env: { PATH: '/nowhere' } })).toMatchObject({ code: 7 });
});

import { describe, expect, test } from 'vitest';
import { readState } from '../../src/service/systemd-state.js';

function show(values: Readonly<Record<string, string>>): string {
  return `${Object.entries(values)
    .map(([name, value]) => `${name}=${value}`)
    .join('\n')}\n`;
}

/** As systemd 252 says it. */
const RUNNING = {
  MainPID: '1234',
  NRestarts: '2',
  ExecMainCode: '0',
  ExecMainStatus: '0',
  Result: 'success',
  StatusText: 'issue 7 attempt 2 since 14:03, a=b',
  ActiveState: 'active',
  SubState: 'running',
  StateChangeTimestamp: 'Mon 2026-11-23 00:37:12 UTC',
  UnitFileState: 'enabled',
};

describe('what systemctl show says', () => {
  test('of a service that runs', () => {
    expect(readState(show(RUNNING))).toEqual({
      enabled: true,
      active: 'running',
      pid: 1234,
      since: new Date('2026-11-23T00:37:12Z'),
      text: 'issue 7 attempt 2 since 14:03, a=b',
      restarts: 2,
      lastEnd: null,
    });
  });

  test('of one that waits for its next try', () => {
    const waiting = { ...RUNNING, MainPID: '0', ActiveState: 'activating', SubState: 'auto-restart' };
    const ended = { ...waiting, ExecMainCode: '1', ExecMainStatus: '69', Result: 'exit-code', StatusText: '' };
    expect(readState(show(ended))).toMatchObject({
      active: 'starting',
      pid: null,
      text: null,
      lastEnd: 'exit code 69',
    });
  });

  test('of one that was killed by its watchdog', () => {
    const killed = { ...RUNNING, MainPID: '0', ActiveState: 'failed', ExecMainCode: '3', ExecMainStatus: '6' };
    const state = readState(show({ ...killed, Result: 'watchdog', UnitFileState: 'disabled' }));
    expect(state).toMatchObject({ enabled: false, active: 'failed', lastEnd: 'signal ABRT (watchdog)' });
  });

  test('of one that it does not know', () => {
    const unknown = { MainPID: '0', NRestarts: '0', ExecMainCode: '0', ActiveState: 'inactive', UnitFileState: '' };
    expect(readState(show({ ...unknown, StateChangeTimestamp: '' }))).toEqual({
      enabled: false,
      active: 'stopped',
      pid: null,
      since: null,
      text: null,
      restarts: 0,
      lastEnd: null,
    });
  });
});

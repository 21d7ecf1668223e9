/** What `systemctl show` says of a unit, read. Pure. */
import { constants } from 'node:os';
import type { ServiceState } from './manager.js';

export const STATE_PROPERTIES = [
  'ActiveState',
  'SubState',
  'UnitFileState',
  'MainPID',
  'StateChangeTimestamp',
  'StatusText',
  'NRestarts',
  'ExecMainCode',
  'ExecMainStatus',
  'Result',
].join(',');

const ACTIVE: Readonly<Record<string, ServiceState['active']>> = {
  active: 'running',
  reloading: 'running',
  activating: 'starting',
  deactivating: 'stopping',
  failed: 'failed',
};

/** @param text `NAME=value` lines of STATE_PROPERTIES. A unit that systemd does not know is a stopped one. */
export function readState(text: string): Omit<ServiceState, 'installed'> {
  const values = new Map(text.split('\n').map((line) => line.split(/=(.*)/s, 2) as [string, string]));
  const get = (name: string) => values.get(name) ?? '';
  const pid = Number(get('MainPID'));
  return {
    enabled: get('UnitFileState') === 'enabled',
    active: ACTIVE[get('ActiveState')] ?? 'stopped',
    pid: pid > 0 ? pid : null,
    since: timeOf(get('StateChangeTimestamp')),
    text: get('StatusText') || null,
    restarts: /^\d+$/.test(get('NRestarts')) ? Number(get('NRestarts')) : null,
    lastEnd: pid > 0 ? null : lastEnd(get),
  };
}

/** `Mon 2026-11-23 00:37:12 UTC`: systemctl is run with TZ=UTC. */
function timeOf(text: string): Date | null {
  const [, day, time] = /(\d{4}-\d{2}-\d{2}) (\d{2}:\d{2}:\d{2}(?:\.\d+)?) UTC$/.exec(text) ?? [];
  return day === undefined ? null : new Date(`${day}T${time}Z`);
}

/** Values of waitid's si_code. */
const EXITED = '1';
const SIGNALLED = ['2', '3'];

function lastEnd(get: (name: string) => string): string | null {
  const [code, status] = [get('ExecMainCode'), get('ExecMainStatus')];
  const why = ['watchdog', 'timeout', 'oom-kill', 'protocol'].find((result) => result === get('Result'));
  const reason = why === undefined ? '' : ` (${why})`;
  if (code === EXITED) return `exit code ${status}${reason}`;
  if (SIGNALLED.includes(code)) return `signal ${signalName(Number(status))}${reason}`;
  return null;
}

function signalName(number: number): string {
  const name = Object.entries(constants.signals).find(([, value]) => value === number)?.[0];
  return name === undefined ? String(number) : name.slice('SIG'.length);
}

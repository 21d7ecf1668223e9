/** Which files and folders belong to services, by scope and platform. Pure: nothing is looked at. */
import { dirname, isAbsolute, join } from 'node:path';
import { CapeError } from '../core/errors.js';
import type { Host } from './host.js';
import type { Scope } from './spec.js';

export interface Places {
  /** Where the service manager looks for units or plists. */
  readonly unitDir: string;
  /** Holds the env files; `configMode` is its mode. */
  readonly configDir: string;
  readonly configMode: number;
  /** Logs of workers whose program lies in no clone. */
  readonly logDir: string;
  /** What installing remembers beside the units: that it was us who switched lingering on. */
  readonly stateDir: string;
}

export function placesOf(scope: Scope, host: Pick<Host, 'platform' | 'environment' | 'home' | 'root'>): Places {
  const { root } = host;
  const mac = host.platform === 'darwin';
  if (scope === 'system') {
    return {
      unitDir: `${root}${mac ? '/Library/LaunchDaemons' : '/etc/systemd/system'}`,
      configDir: `${root}/etc/cape-worker`,
      configMode: 0o755,
      logDir: `${root}${mac ? '/Library/Logs/cape-worker' : '/var/log/cape-worker'}`,
      stateDir: `${root}/var/lib/cape-worker`,
    };
  }
  const config = xdg(host, 'XDG_CONFIG_HOME', '.config');
  const state = xdg(host, 'XDG_STATE_HOME', '.local/state');
  return {
    unitDir: mac ? join(host.home, 'Library/LaunchAgents') : join(config, 'systemd/user'),
    configDir: join(config, 'cape-worker'),
    configMode: 0o700,
    logDir: mac ? join(host.home, 'Library/Logs/cape-worker') : join(state, 'cape-worker/logs'),
    stateDir: join(state, 'cape-worker'),
  };
}

/** The specification says that a path which is not absolute is to be ignored. */
function xdg({ environment, home }: Pick<Host, 'environment' | 'home'>, name: string, fallback: string): string {
  const value = environment[name];
  return value !== undefined && isAbsolute(value) ? value : join(home, fallback);
}

/** The env file of a worker, unless `install --env-file` put it elsewhere: the installed unit knows. */
export function envFileOf({ configDir }: Places, workerId: string): string {
  return join(configDir, `${workerId}.env`);
}

/** True for an env file in our own folder: only such a one is removed with its service. */
export function isOurEnvFile({ configDir }: Places, file: string): boolean {
  return dirname(file) === configDir;
}

/** The unit of the database that `--with-database` installs. */
export const DATABASE_UNIT = 'cape-worker-postgres.service';

const UNIT = /^cape-worker-(.+)\.service$/;

/**
 * What systemd calls a worker. Every character of a worker id stands for itself there: no "@", which would make it a
 * template, no "/" and no "\\", and `-` needs escaping only in names made from paths. 100 + 20 characters of 255.
 * @throws CapeError `usage` for the one id whose name belongs to the database
 */
export function unitNameOf(workerId: string): string {
  const name = `cape-worker-${workerId}.service`;
  if (name === DATABASE_UNIT) {
    throw new CapeError(
      'usage',
      `worker id: got "${workerId}", whose service would be called like that of the database`,
    );
  }
  return name;
}

/** What launchd calls a worker; its plist has the same name. */
export function labelOf(workerId: string): string {
  return `com.cape.worker.${workerId}`;
}

/** The worker that a plist's name stands for; null where it is none. */
export function workerOfPlist(file: string): string | null {
  return /^com\.cape\.worker\.(.+)\.plist$/.exec(file)?.[1] ?? null;
}

/** The worker that a unit file's name stands for; null where it is none. */
export function workerOfUnit(file: string): string | null {
  return file === DATABASE_UNIT ? null : (UNIT.exec(file)?.[1] ?? null);
}

/** The part of `check` that looks at this host: the command, the folders, the control groups. */
import { accessSync, constants, existsSync, realpathSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { LoadedConfig } from '../config.js';
import { CapeError } from '../core/errors.js';
import { type Finding, finding } from './finding.js';
import { quoted } from './values.js';

export function checkCommand({ config, environment }: LoadedConfig): Promise<Finding> {
  return finding('command', async () => {
    const { findCommand } = await import('../worker/find-command.js');
    const found = findCommand(config, environment);
    return `${found.label} (${found.file})`;
  });
}

export function checkWorkingDir({ config }: LoadedConfig): Promise<Finding> {
  return finding('working folder', () => {
    const dir = resolve(config.workingDir);
    if (!isDirectory(dir)) throw new CapeError('config', `--working-dir: got ${quoted(dir)}, which is no folder`);
    return dir;
  });
}

/** Only a service has them, so a person at a terminal misses nothing; a service without could have them. */
export function checkControlGroups(): Promise<Finding> {
  return finding('control groups', async () => {
    const { ownGroup } = await import('../execution/cgroup.js');
    const own = ownGroup();
    if (own.base !== null) return `each attempt gets one of its own, below ${own.base}`;
    if (own.service) return { ok: null, detail: `attempts get none of their own: ${own.why}` };
    return `none here, as attempts in a systemd service have them: ${own.why}`;
  });
}

/** Root is told that it may write there, and nobody can. */
const KERNELS_OWN = /^\/(proc|sys)(\/|$)/;

/** The folder is made at start, so a missing one is fine where it can be made. */
export function checkLogDir({ config }: LoadedConfig): Promise<Finding> {
  return finding('log folder', () => {
    const dir = resolve(config.logDir);
    let nearest = dir;
    while (!existsSync(nearest)) nearest = dirname(nearest);
    if (!isDirectory(nearest)) throw new CapeError('config', `--log-dir: ${quoted(nearest)} is no folder`);
    if (KERNELS_OWN.test(realpathSync(nearest))) {
      throw new CapeError('config', `--log-dir: got ${quoted(dir)}, where only the kernel makes files; choose another`);
    }
    try {
      accessSync(nearest, constants.W_OK | constants.X_OK);
    } catch {
      throw new CapeError('config', `--log-dir: ${quoted(nearest)} can't be written to; allow it or choose another`);
    }
    if (nearest !== dir) return `${dir} will be made at start`;
    const closed = config.workerId === undefined ? undefined : closedFile(dir, config.workerId);
    if (closed !== undefined) {
      throw new CapeError('config', `--log-dir: ${quoted(closed)} can't be written to; it may be another user's`);
    }
    return `${dir} is writable`;
  });
}

/** A file of this worker's log that stays from a run under another user: a folder that is writable is not enough. */
function closedFile(dir: string, workerId: string): string | undefined {
  const names = [`worker_${workerId}.log`, `.worker_${workerId}-audit.json`].map((name) => join(dir, name));
  return names.find((name) => {
    try {
      accessSync(name, constants.W_OK);
      return false;
    } catch (error) {
      // Not there yet, or a link to a file that was removed: made at start.
      return (error as NodeJS.ErrnoException).code !== 'ENOENT';
    }
  });
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

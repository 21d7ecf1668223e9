/** The part of `check` that looks at this host: the command and the folders. */
import { accessSync, constants, existsSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
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

/** The folder is made at start, so a missing one is fine where it can be made. */
export function checkLogDir({ config }: LoadedConfig): Promise<Finding> {
  return finding('log folder', () => {
    const dir = resolve(config.logDir);
    let nearest = dir;
    while (!existsSync(nearest)) nearest = dirname(nearest);
    if (!isDirectory(nearest)) throw new CapeError('config', `--log-dir: ${quoted(nearest)} is no folder`);
    try {
      accessSync(nearest, constants.W_OK | constants.X_OK);
    } catch {
      throw new CapeError('config', `--log-dir: ${quoted(nearest)} can't be written to; allow it or choose another`);
    }
    return nearest === dir ? `${dir} is writable` : `${dir} will be made at start`;
  });
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

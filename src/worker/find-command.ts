/** What can be wrong with command and folder is found before a database is waited for, or even started. */
import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Config } from '../config.js';
import { CapeError } from '../core/errors.js';
import { type ResolvedCommand, resolveCommand } from '../execution/command.js';

/** Where programs are looked for when the environment has no PATH. */
const SYSTEM_PATH = '/usr/local/bin:/usr/bin:/bin';

/**
 * The command of a worker. A relative path in it begins at the working folder, as it would for the command itself.
 * @throws CapeError `config` where there is no such command or folder
 */
export function findCommand(
  config: Pick<Config, 'command' | 'workingDir'>,
  environment: Readonly<Record<string, string | undefined>>,
): ResolvedCommand {
  const cwd = resolve(config.workingDir);
  if (!statSync(cwd, { throwIfNoEntry: false })?.isDirectory()) {
    throw new CapeError('config', `--working-dir: got "${config.workingDir}"; there is no folder ${cwd}`);
  }
  return resolveCommand({ command: config.command, path: environment.PATH ?? SYSTEM_PATH, cwd });
}

/** The settings of a worker as its service will have them: checked before anything is written, and read for its database. */
import { parse } from 'dotenv';
import {
  ignoredWarnings,
  type LoadedConfig,
  loadConfig,
  SETTINGS,
  type SettingName,
  WORKER_SETTINGS,
} from '../config.js';
import { CapeError } from '../core/errors.js';
import { oneLine } from '../core/text.js';
import { parseUrl } from '../db/url.js';
import { readEnvFile } from './env-file.js';
import type { ServiceSpec } from './spec.js';

export type ServiceSettings = Pick<LoadedConfig, 'config' | 'warnings' | 'environment'>;

/** Not for a service: who it is and where its files are is in the unit, and one that leaves would be started again. */
const NOT_IN_FILE: readonly SettingName[] = ['workerId', 'workingDir', 'envFile', 'once', 'drain'];

/** The settings that may be given to `service install` and go into the env file. */
export const FILE_SETTINGS = WORKER_SETTINGS.filter(
  (name) => !NOT_IN_FILE.includes(name) && !('secret' in SETTINGS[name]),
);

/**
 * Checks the text of an env file as the worker would.
 * @throws CapeError `config` that names the file
 */
export function checkSettings(workerId: string, file: string, text: string, workingDir: string): ServiceSettings {
  const values = parse(text);
  for (const name of ['once', 'drain'] as const) {
    const { env } = SETTINGS[name];
    // An empty variable is how env files say "unset".
    if (values[env])
      throw new CapeError('config', `${file}: ${env}: not for a service, which is started again when it leaves`);
  }
  try {
    const flags = { workerId, workingDir };
    const loaded = loadConfig({ flags, env: values, envName: oneLine(file), cwd: workingDir, dotenv: false });
    const { databaseUrl, listenUrl } = loaded.config;
    // The worker looks at them only where it connects.
    for (const url of [databaseUrl, listenUrl]) if (url !== undefined) parseUrl(url);
    return { ...loaded, warnings: [...loaded.warnings, ...ignoredWarnings(file, text)] };
  } catch (error) {
    if (!(error instanceof CapeError) || error.kind !== 'config') throw error;
    throw new CapeError('config', `${file}: ${error.message}`, { cause: error });
  }
}

/**
 * The settings of an installed service, by its env file.
 * @throws CapeError `config` where the file is not there, or is wrong
 */
export function readServiceSettings({ workerId, envFile, workingDir }: ServiceSpec): ServiceSettings {
  const { text } = readEnvFile(envFile);
  if (text === null)
    throw new CapeError('config', `${envFile}: there is no such file; cape-worker service install ${workerId}`);
  return checkSettings(workerId, envFile, text, workingDir);
}

/** The settings of a command: its own, or with `--service` those of an installed worker. */
import { resolve } from 'node:path';
import { type LoadedConfig, loadConfig, type SettingName, withoutSettings } from '../config.js';
import { CapeError } from '../core/errors.js';
import { workerIdSchema } from '../core/issue.js';
import { oneLine } from '../core/text.js';
import { type Host, hostOf } from '../service/host.js';
import type { ServiceSpec } from '../service/spec.js';
import { value } from './command.js';
import { settingFlags } from './setting-options.js';
import { checked } from './values.js';

export const SERVICE_OPTION = { service: value('Use the settings, and so the database, of this installed worker') };

/**
 * @param flags those of a command with options for settings, and maybe SERVICE_OPTION
 * @param only the settings that matter
 * @throws CapeError for what is wrong with them, or with the service
 */
export async function loadSettings(flags: object, only?: readonly SettingName[]): Promise<LoadedConfig> {
  const { service } = flags as { readonly service?: string };
  const some = only === undefined ? {} : { only };
  if (service === undefined) return loadConfig({ flags: settingFlags(flags), ...some });
  if ('env-file' in flags && flags['env-file'] !== undefined) {
    throw new CapeError('usage', '--service: got it together with --env-file; choose one of the two');
  }
  const host = thisHost();
  const { findSpec } = await import('../service/find-spec.js');
  return ofService(findSpec(checked('--service', workerIdSchema, service), host), flags, some, host);
}

function thisHost(): Host {
  return hostOf(loadConfig({ only: [], dotenv: false }).environment);
}

/**
 * As the service itself finds them: what this shell has set is not among what it sees, and a DATABASE_URL exported here
 * would lead to another database than the one asked for.
 */
function ofService(
  spec: ServiceSpec,
  flags: object,
  some: { readonly only?: readonly SettingName[] },
  host: Host,
): LoadedConfig {
  const { workerId, envFile, path } = spec;
  try {
    const loaded = loadConfig({
      flags: { workerId, ...given(flags), envFile },
      env: { ...withoutSettings(host.environment), PATH: path },
      ...some,
    });
    if (some.only?.includes('databaseUrl') && loaded.config.databaseUrl === undefined) refuseForeign(spec, host);
    return seenFrom(spec.workingDir, loaded);
  } catch (error) {
    throw error instanceof CapeError && error.message.startsWith('--env-file: ') ? unreadable(spec, error) : error;
  }
}

/** Said in terms of the service: nobody gave an --env-file. */
function unreadable({ account, envFile, workerId }: ServiceSpec, error: CapeError): CapeError {
  const file = oneLine(envFile);
  const whose = account.uid === 0 ? 'root' : `${oneLine(account.name)} and root`;
  const why = /\((EACCES|EPERM)\)/.test(error.message)
    ? `only ${whose} can read ${file}; run it by sudo: sudo cape-worker ... --service ${workerId}`
    : `its env file ${file} is missing or can't be read; cape-worker service install ${workerId} writes one`;
  return new CapeError('refused', `--service: ${why}`, { cause: error });
}

function given(flags: object): object {
  return Object.fromEntries(Object.entries(settingFlags(flags)).filter(([, one]) => one !== undefined));
}

/** The embedded Postgres of who runs this command is not the one that the worker would use. */
function refuseForeign({ account, envFile }: ServiceSpec, { uid }: Host): void {
  if (account.uid === uid) return;
  const why = `has no DATABASE_URL, and the embedded Postgres of ${oneLine(account.name)} is for that user alone`;
  throw new CapeError('config', `${oneLine(envFile)}: ${why}`);
}

const FOLDERS = ['workingDir', 'logDir', 'dataDir'] as const satisfies readonly SettingName[];

/** Relative folders of the service are those of its own working folder, not of this command's. */
function seenFrom(workingDir: string, loaded: LoadedConfig): LoadedConfig {
  const folders = FOLDERS.filter((name) => loaded.sources[name] !== 'flag' && loaded.config[name] !== undefined);
  const absolute = Object.fromEntries(folders.map((name) => [name, resolve(workingDir, loaded.config[name] ?? '')]));
  return { ...loaded, config: { ...loaded.config, ...absolute }, texts: { ...loaded.texts, ...absolute } };
}

/** The database of a command: DATABASE_URL, else the user's embedded Postgres, which is started for it where needed. */
import type { Options } from 'yargs';
import type { CapeClient } from '../client.js';
import type { LoadedConfig, SettingName } from '../config.js';
import { CapeError } from '../core/errors.js';
import { oneLine } from '../core/text.js';
import { loadSettings, SERVICE_OPTION } from './load-settings.js';
import type { FollowOutput, ReadOutput } from './remote.js';
import { settingOptions } from './setting-options.js';

export const DATABASE_SETTINGS = [
  'databaseUrl',
  'schema',
  'dataDir',
  'envFile',
] as const satisfies readonly SettingName[];

/** `--schema`, `--data-dir`, `--env-file` and `--service`. The URL is no option: arguments can be read by every user of the machine. */
export const DATABASE_OPTIONS: Readonly<Record<string, Options>> = {
  ...settingOptions(DATABASE_SETTINGS),
  ...SERVICE_OPTION,
};

/** The settings of a command that asks: the database, or an HTTP API in its place. */
const CLIENT_SETTINGS = [...DATABASE_SETTINGS, 'apiUrl', 'apiToken'] as const satisfies readonly SettingName[];

/** The options of such a command. The token is none, as little as the database's URL. */
export const CLIENT_OPTIONS: Readonly<Record<string, Options>> = {
  ...settingOptions(CLIENT_SETTINGS),
  ...SERVICE_OPTION,
};

/** A database to use, and to leave when done. */
export interface OpenDatabase {
  readonly url: string;
  readonly schema: string;
  /** Where it lies, if it is the embedded one. */
  readonly dataDir: string | null;
  /** Something to say about how it runs. */
  readonly note: string | null;
  release(): Promise<void>;
}

/** The folder of the embedded Postgres that these settings mean. */
export async function embeddedDataDir(loaded: LoadedConfig): Promise<string> {
  if (loaded.config.dataDir !== undefined) return loaded.config.dataDir;
  const { accountHome, defaultDataDir } = await import('../db/embedded/index.js');
  return defaultDataDir({
    home: loaded.environment.HOME,
    xdgDataHome: loaded.environment.XDG_DATA_HOME,
    platform: process.platform,
    uid: process.getuid?.() ?? -1,
    accountHome: accountHome(),
  });
}

/**
 * Opens the database that the settings name.
 * @param log told what takes time, such as making a new embedded database
 * @throws CapeError where the embedded one can't be started; from inside an attempt it is never started
 */
export async function openDatabase(loaded: LoadedConfig, log: (line: string) => void): Promise<OpenDatabase> {
  const { databaseUrl, schema } = loaded.config;
  if (databaseUrl !== undefined)
    return { url: databaseUrl, schema, dataDir: null, note: null, release: async () => {} };
  const { startEmbedded } = await import('../db/embedded/index.js');
  const embedded = await startEmbedded({
    dataDir: await embeddedDataDir(loaded),
    log,
    insideAttempt: loaded.environment.CAPE_ISSUE_ID !== undefined,
    searchPath: loaded.environment.PATH ?? '',
  });
  const { url, dataDir, note, release } = embedded;
  return { url, schema, dataDir, note, release };
}

/**
 * Where the database is, from the command's flags and whatever goes before the defaults. Warns of misspelt variables:
 * one of them may be the reason why it is another database than was meant.
 */
export function databaseConfig(flags: object): Promise<LoadedConfig> {
  return configOf(flags, DATABASE_SETTINGS);
}

async function configOf(flags: object, names: readonly SettingName[]): Promise<LoadedConfig> {
  const loaded = await loadSettings(flags, names);
  for (const warning of loaded.warnings) toStderr(`cape-worker: ${warning}`);
  return loaded;
}

export function nameOfEmbedded(dataDir: string): string {
  return `embedded, since DATABASE_URL is not set: data in ${dataDir}`;
}

/** Which database it is, for people: the URL without its password, or where the embedded one lies. */
export async function nameOfDatabase(database: NamedDatabase): Promise<string> {
  if ('api' in database) return `by the HTTP API ${oneLine(database.api)}`;
  const { url, dataDir } = database;
  if (dataDir !== null) return nameOfEmbedded(dataDir);
  const { redactUrl } = await import('../db/url.js');
  return redactUrl(url);
}

/**
 * Gives `work` a client and closes it afterwards: of the HTTP API where one is named, else of the database. The embedded
 * database is migrated first, since it is nobody's but ours; any other only by `migrate` or a worker.
 */
export async function withClient<T>(
  flags: object,
  work: (client: CapeClient, database: NamedDatabase) => Promise<T>,
): Promise<T> {
  const loaded = await configOf(flags, CLIENT_SETTINGS);
  const { apiUrl, apiToken } = loaded.config;
  if (apiUrl !== undefined && isMeant(loaded, flags)) {
    const { createRemoteClient, followOf, outputOf } = await import('./remote.js');
    const where = { url: apiUrl, token: apiToken };
    return work(createRemoteClient(where), { api: apiUrl, output: outputOf(where), follow: followOf(where) });
  }
  const database = await openDatabase(loaded, toStderr);
  try {
    if (database.dataDir !== null) await bringUpToDate(database);
    const { createClient } = await import('../client.js');
    const client = createClient({ databaseUrl: database.url, schema: database.schema, applicationName: 'cape-cli' });
    try {
      return await work(client, database);
    } finally {
      await client.close();
    }
  } finally {
    await database.release();
  }
}

/** What says where the queue is, for people. */
export type NamedDatabase =
  | Pick<OpenDatabase, 'url' | 'dataDir'>
  | { readonly api: string; readonly output: ReadOutput; readonly follow: FollowOutput };

/** A service's database was asked for by name. The API of the environment is then not what is meant; by name too, both are. */
function isMeant({ sources }: LoadedConfig, flags: object): boolean {
  const { service } = flags as { readonly service?: string };
  if (service === undefined) return true;
  if (sources.apiUrl !== 'flag') return false;
  throw new CapeError('usage', '--api-url: got it together with --service; choose one of the two');
}

/** For the embedded database, which is nobody's but ours. */
export async function bringUpToDate({ url, schema }: Pick<OpenDatabase, 'url' | 'schema'>): Promise<void> {
  const { migrate } = await import('../db/migrate.js');
  await migrate({ url, schema });
}

/** One line, whatever it quotes. */
export function toStderr(line: string): void {
  process.stderr.write(`${oneLine(line)}\n`);
}

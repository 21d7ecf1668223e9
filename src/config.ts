/**
 * Reads the settings. The order is flag > environment > file > default; the file is the one that --env-file names, else
 * .env. This is the only file that reads process.env.
 * A value is checked wherever it came from: a typo in the environment is an error, never silently the default.
 */
import { resolve } from 'node:path';
import { closest, distance } from 'fastest-levenshtein';
import type { z } from 'zod';
import { type Dotenv, NO_DOTENV, readDotenv, readNamedFile } from './config/dotenv.js';
import { type Config, optionName, SETTINGS, type Setting, type SettingName, type Source } from './config/settings.js';
import { checkTogether } from './config/together.js';
import { CapeError } from './core/errors.js';
import { oneLine } from './core/text.js';
import { flag } from './core/values.js';

export { ignoredWarnings } from './config/dotenv.js';
export {
  type Config,
  optionName,
  SETTINGS,
  type SettingName,
  type Source,
  WORKER_SETTINGS,
} from './config/settings.js';
export { LEASE_MARGIN_MS, renewalInterval } from './config/together.js';

/** Settings as on the command line: `timeout: '5m'`, or seconds as a number; unset ones undefined. */
export type FlagValues = { readonly [K in SettingName]?: string | number | boolean | undefined };

export interface LoadedConfig {
  readonly config: Config;
  readonly sources: Readonly<Record<SettingName, Source>>;
  /** The values as they were written, for showing them to people. */
  readonly texts: Readonly<Record<SettingName, string | undefined>>;
  /** Lines for people, such as an unknown CAPE_ variable that is close to a known one. */
  readonly warnings: readonly string[];
  /** The .env or env file that was read, absolute; null where there is none. */
  readonly dotenvPath: string | null;
  /**
   * The environment that the values came from; the command's own is made from it. What an env file holds besides settings
   * counts as part of it, where the environment itself has no such variable. A .env adds nothing: it is often another
   * program's.
   */
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** What the worker sets for its commands: no settings, and no typos of settings either. */
const GIVEN_TO_COMMANDS =
  /^CAPE_(ISSUE_ID|ISSUE_FILE|RESULT_FILE|ATTEMPT|IDEMPOTENCY_KEY|RUN|KEEPER|API_[A-Z]+|EVENTS_FILE)$/;

/**
 * Reads and checks the settings.
 * @param input.flags values of the command line, unset ones undefined
 * @param input.only the settings that matter; others keep their default and are not looked at
 * @throws CapeError `usage` for a bad flag, `config` for a bad value from elsewhere
 */
export function loadConfig(
  input: {
    flags?: FlagValues;
    env?: Readonly<Record<string, string | undefined>>;
    cwd?: string;
    only?: readonly SettingName[];
    /** false: no .env is looked for, nor is CAPE_ENV_FILE (demo, tests and benchmarks never see one). */
    dotenv?: boolean;
    /** How messages call `env`: the file that it was read from. */
    envName?: string;
  } = {},
): LoadedConfig {
  const env = input.env ?? process.env;
  const cwd = input.cwd ?? process.cwd();
  const flags = input.flags ?? {};
  const named = lookUp('envFile', flags, { ...NOWHERE, environment: input.dotenv === false ? {} : env });
  const file = fileOf(named, cwd, input.dotenv !== false);
  const places: Places = { environment: env, file: file.values, fileName: file.name, fileSource: sourceOf(named) };
  const wanted = (name: SettingName) => !input.only || input.only.includes(name);
  const config: Record<string, unknown> = {};
  const sources: Record<string, Source> = {};
  const texts: Record<string, string | undefined> = {};
  for (const name of Object.keys(SETTINGS) as SettingName[]) {
    const found = name === 'envFile' ? named : wanted(name) ? lookUp(name, flags, places) : lookUp(name, {}, NOWHERE);
    config[name] = check(name, found);
    sources[name] = found.source;
    texts[name] = found.value === undefined ? undefined : String(found.value);
  }
  const loaded = config as unknown as Config;
  if (!input.only) checkTogether(loaded, sources as Record<SettingName, Source>);
  return {
    config: loaded,
    sources: sources as Record<SettingName, Source>,
    texts: texts as Record<SettingName, string | undefined>,
    warnings: [
      ...unknownNames(env, input.envName ?? 'environment'),
      ...unknownNames(file.values, file.name),
      ...ownName(file),
      ...file.warnings,
    ],
    dotenvPath: file.path,
    environment: named.value === undefined ? env : joined(file.values, env),
  };
}

type Variables = Readonly<Record<string, string | undefined>>;

/** Where values are looked for, behind the flags. */
interface Places {
  readonly environment: Variables;
  readonly file: Variables;
  readonly fileName: string;
  readonly fileSource: Source;
}

const NOWHERE: Places = { environment: {}, file: {}, fileName: '.env', fileSource: '.env' };

interface Found {
  readonly value: string | number | boolean | undefined;
  readonly source: Source;
  /** How the setting is called where the value came from. */
  readonly where: string;
}

function lookUp(name: SettingName, flags: FlagValues, places: Places): Found {
  const setting: Setting = SETTINGS[name];
  const given = flags[name];
  if (given !== undefined) return { value: given, source: 'flag', where: `--${optionName(name)}` };
  for (const [values, source, called] of [
    [places.environment, 'environment', 'environment'],
    [places.file, places.fileSource, `file ${places.fileName}`],
  ] as const) {
    const value = values[setting.env];
    if (name === 'databaseUrl' && value?.trim() === '') throw emptyUrl(called);
    // An empty variable is how shells and unit files say "unset".
    if (value !== undefined && value !== '') return { value, source, where: setting.env };
    const negated = negatedName(setting);
    const no = negated && values[negated];
    if (negated && no) return { value: negate(no, negated), source, where: negated };
  }
  return { value: setting.fallback, source: 'default', where: `--${optionName(name)}` };
}

const SECRET_NAMES = Object.values(SETTINGS).flatMap((setting) => ('secret' in setting ? [setting.env as string] : []));

/**
 * The file that was asked for by name, else the .env that is found.
 * @throws CapeError where it can't be read: never silently none, which would mean another database
 */
function fileOf(named: Found, cwd: string, search: boolean): Dotenv {
  if (named.value === undefined) return search ? readDotenv(cwd) : NO_DOTENV;
  const given = String(check('envFile', named));
  const path = resolve(cwd, given);
  try {
    return readNamedFile(path, SECRET_NAMES);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const why = code === 'ENOENT' ? 'there is no such file' : `it can't be read (${code})`;
    const meant = path === given || code === 'ENAMETOOLONG' ? '' : `; it means ${oneLine(path)}`;
    throw new CapeError(kindOf(named.source), `${named.where}: got ${show(given)}; ${why}${meant}`);
  }
}

/** What is read from the file of that name is called so. */
function sourceOf(named: Found): Source {
  return named.value === undefined ? '.env' : 'env file';
}

/** What is set goes before what the file holds, also where it is empty. */
function joined(file: Variables, env: Variables): Variables {
  const set = Object.entries(env).filter(([, value]) => value !== undefined);
  const { [SETTINGS.envFile.env]: _, ...rest } = file;
  return { ...rest, ...Object.fromEntries(set) };
}

/** The one variable that is not unset by being empty: a worker on another database than was meant harms in silence. */
function emptyUrl(place: string): CapeError {
  const why = `is set in the ${place} but empty`;
  return new CapeError('config', `DATABASE_URL ${why}; unset it to use the embedded Postgres, or give a URL`);
}

/** `--no-migrate` is CAPE_MIGRATE=false or CAPE_NO_MIGRATE=true. */
function negatedName(setting: Setting): string | undefined {
  return (setting.schema as z.ZodType) === flag ? setting.env.replace('CAPE_', 'CAPE_NO_') : undefined;
}

function negate(value: string, where: string): string {
  const parsed = flag.safeParse(value);
  if (!parsed.success) throw new CapeError('config', `${where}: got ${show(value)}; must be true or false`);
  return String(!parsed.data);
}

function check(name: SettingName, found: Found): unknown {
  const setting: Setting = SETTINGS[name];
  const parsed = setting.schema.safeParse(found.value);
  if (parsed.success) return parsed.data;
  const allowed = parsed.error.issues[0]?.message ?? 'is not allowed';
  const received = setting.secret ? 'a value' : show(found.value);
  throw new CapeError(kindOf(found.source), `${found.where}: got ${received}; ${allowed}`);
}

/** A wrong flag is an error of the command line. */
function kindOf(source: Source): 'usage' | 'config' {
  return source === 'flag' ? 'usage' : 'config';
}

function show(value: unknown): string {
  return `"${oneLine(String(value)).slice(0, 200)}"`;
}

function unknownNames(values: Readonly<Record<string, string | undefined>>, where: string): string[] {
  const known = Object.values(SETTINGS).flatMap((setting) => [
    setting.env as string,
    negatedName(setting) ?? setting.env,
  ]);
  const isUrl = (name: string) => values.DATABASE_URL === undefined && distance(name, 'DATABASE_URL') <= 2;
  const isOurs = (name: string) => name.startsWith('CAPE_') && !GIVEN_TO_COMMANDS.test(name);
  return Object.keys(values)
    .filter((name) => !known.includes(name) && (isOurs(name) || isUrl(name)))
    .map((name) => `${where}: unknown variable ${oneLine(name)}; did you mean ${closest(name, known)}?`);
}

/** The environment as it would be if nobody had set a setting in it. */
export function withoutSettings(env: Variables): Variables {
  const names = new Set(
    Object.values(SETTINGS).flatMap((setting) => [setting.env, negatedName(setting) ?? setting.env]),
  );
  return Object.fromEntries(Object.entries(env).filter(([name]) => !names.has(name)));
}

/** A file can't say which file is read. */
function ownName({ name, values }: Dotenv): string[] {
  const { env } = SETTINGS.envFile;
  return values[env] === undefined ? [] : [`${name}: ${env} means nothing in a file; give it as --env-file`];
}

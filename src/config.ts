/**
 * Reads the settings. The order is flag > environment > .env > default. This is the only file that reads process.env.
 * A value is checked wherever it came from: a typo in the environment is an error, never silently the default.
 */
import { closest, distance } from 'fastest-levenshtein';
import type { z } from 'zod';
import { NO_DOTENV, readDotenv } from './config/dotenv.js';
import { type Config, SETTINGS, type Setting, type SettingName } from './config/settings.js';
import { CapeError } from './core/errors.js';
import { oneLine } from './core/text.js';
import { durationName, flag } from './core/values.js';

export { type Config, SETTINGS, type SettingName } from './config/settings.js';

export type Source = 'flag' | 'environment' | '.env' | 'default';
/** Settings as on the command line: `timeout: '5m'`, or seconds as a number; unset ones undefined. */
export type FlagValues = { readonly [K in SettingName]?: string | number | boolean | undefined };

export interface LoadedConfig {
  readonly config: Config;
  readonly sources: Readonly<Record<SettingName, Source>>;
  /** The values as they were written, for showing them to people. */
  readonly texts: Readonly<Record<SettingName, string | undefined>>;
  /** Lines for people, such as an unknown CAPE_ variable that is close to a known one. */
  readonly warnings: readonly string[];
  /** The .env that was read, absolute; null where there is none. */
  readonly dotenvPath: string | null;
  /** The environment that the values came from; the command's own is made from it. */
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** What the worker sets for its commands: no settings, and no typos of settings either. */
const GIVEN_TO_COMMANDS =
  /^CAPE_(ISSUE_ID|ISSUE_FILE|RESULT_FILE|ATTEMPT|IDEMPOTENCY_KEY|RUN|KEEPER|API_[A-Z]+|EVENTS_FILE)$/;

/** `workerId` -> `worker-id`, as options are written. */
export function optionName(name: string): string {
  return name.replace(/[A-Z]/g, (upper) => `-${upper.toLowerCase()}`);
}

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
    /** false: no .env file is looked for (demo, tests and benchmarks never see one). */
    dotenv?: boolean;
  } = {},
): LoadedConfig {
  const env = input.env ?? process.env;
  const cwd = input.cwd ?? process.cwd();
  const file = input.dotenv === false ? NO_DOTENV : readDotenv(cwd);
  const dotenv = file.values;
  const config: Record<string, unknown> = {};
  const sources: Record<string, Source> = {};
  const texts: Record<string, string | undefined> = {};
  for (const name of Object.keys(SETTINGS) as SettingName[]) {
    const wanted = !input.only || input.only.includes(name);
    const found = wanted ? lookUp(name, input.flags ?? {}, env, dotenv) : lookUp(name, {}, {}, {});
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
    warnings: [...unknownNames(env, 'environment'), ...unknownNames(dotenv, '.env'), ...file.warnings],
    dotenvPath: file.path,
    environment: env,
  };
}

interface Found {
  readonly value: string | number | boolean | undefined;
  readonly source: Source;
  /** How the setting is called where the value came from. */
  readonly where: string;
}

function lookUp(
  name: SettingName,
  flags: FlagValues,
  env: Readonly<Record<string, string | undefined>>,
  dotenv: Readonly<Record<string, string | undefined>>,
): Found {
  const setting: Setting = SETTINGS[name];
  const given = flags[name];
  if (given !== undefined) return { value: given, source: 'flag', where: `--${optionName(name)}` };
  for (const [values, source] of [
    [env, 'environment'],
    [dotenv, '.env'],
  ] as const) {
    const value = values[setting.env];
    if (name === 'databaseUrl' && value?.trim() === '') throw emptyUrl(source);
    // An empty variable is how shells and unit files say "unset".
    if (value !== undefined && value !== '') return { value, source, where: setting.env };
    const negated = negatedName(setting);
    const no = negated && values[negated];
    if (negated && no) return { value: negate(no, negated), source, where: negated };
  }
  return { value: setting.fallback, source: 'default', where: `--${optionName(name)}` };
}

/** The one variable that is not unset by being empty: a worker on another database than was meant harms in silence. */
function emptyUrl(source: Source): CapeError {
  const why = `is set in the ${source === '.env' ? 'file .env' : source} but empty`;
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
  throw new CapeError(found.source === 'flag' ? 'usage' : 'config', `${found.where}: got ${received}; ${allowed}`);
}

function show(value: unknown): string {
  return `"${oneLine(String(value)).slice(0, 200)}"`;
}

/** Ended runs must be dead before a lease can be taken: what the lease leaves for an outage must be something. */
export const LEASE_MARGIN_MS = 5000;

/** `min(15 s, lease / 4)`, milliseconds. */
export function renewalInterval(leaseMs: number): number {
  return Math.min(15_000, leaseMs / 4);
}

/** The shortest lease in whole seconds: a quarter of it, at most 15 s, passes between its renewals. */
function shortestLease(graceMs: number): number {
  const needed = graceMs + LEASE_MARGIN_MS;
  return (Math.floor(Math.min((needed * 4) / 3, needed + 15_000) / 1000) + 1) * 1000;
}

function checkTogether(config: Config, sources: LoadedConfig['sources']): void {
  /** Names the first, which has the value. What a flag takes part in is an error of the command line. */
  const refuse = (names: readonly [SettingName, SettingName], why: string): never => {
    const [name] = names;
    const where = ['flag', 'default'].includes(sources[name]) ? `--${optionName(name)}` : SETTINGS[name].env;
    throw new CapeError(names.some((one) => sources[one] === 'flag') ? 'usage' : 'config', `${where}: ${why}`);
  };
  const { lease, grace, retryCap, retryBase } = config;
  if (lease - renewalInterval(lease) - grace - LEASE_MARGIN_MS <= 0) {
    const least = `must be at least ${durationName(shortestLease(grace))} with --grace ${durationName(grace)}`;
    refuse(['lease', 'grace'], `got ${durationName(lease)}; ${least}, so that it outlasts its renewal and the grace`);
  }
  if (retryCap < retryBase) {
    const least = `must not be less than --retry-base (${durationName(retryBase)})`;
    refuse(['retryCap', 'retryBase'], `got ${durationName(retryCap)}; ${least}`);
  }
  const both = config.failExitCodes.find((code) => config.snoozeExitCodes.includes(code));
  if (both !== undefined) {
    refuse(['snoozeExitCodes', 'failExitCodes'], `got ${both}, which is in --fail-exit-codes too; choose one`);
  }
  if (config.once && config.drain) refuse(['once', 'drain'], 'got it together with --drain; choose one of the two');
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

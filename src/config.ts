/**
 * Every setting: its option, its environment variable, its default and what is allowed, in one table.
 * The order is flag > environment > .env > default. This is the only file that reads process.env.
 * A value is checked wherever it came from: a typo in the environment is an error, never silently the default.
 */
import { closest, distance } from 'fastest-levenshtein';
import { z } from 'zod';
import { NO_DOTENV, readDotenv } from './config/dotenv.js';
import { CapeError } from './core/errors.js';
import { workerIdSchema } from './core/issue.js';
import { oneLine } from './core/text.js';
import { duration, durationName, exitCodes, flag, list, logLevel, size, whole } from './core/values.js';

/** One row of the table. */
interface Setting<T extends z.ZodType = z.ZodType> {
  readonly env: string;
  readonly about: string;
  readonly schema: T;
  /** As a person would write it; absent: the setting has no value unless given. */
  readonly fallback?: string;
  /** Never shown, and no option: arguments can be read by every user of the machine. */
  readonly secret?: true;
  readonly group: 'database' | 'worker' | 'retry' | 'logs';
}

function setting<T extends z.ZodType>(definition: Setting<T>): Setting<T> {
  return definition;
}

const text = z.string().min(1, { error: 'must not be empty' });

export const SETTINGS = {
  databaseUrl: setting({
    group: 'database',
    env: 'DATABASE_URL',
    secret: true,
    schema: z.string().trim().min(1, { error: 'must not be empty' }).optional(),
    about: 'Postgres to use (TLS by `?sslmode=`). Unset: an embedded Postgres of the user',
  }),
  schema: setting({
    group: 'database',
    env: 'CAPE_SCHEMA',
    fallback: 'public',
    schema: z.string().regex(/^[A-Za-z_][A-Za-z0-9_$]{0,62}$/, {
      error: 'must be a plain name: letters, digits, "_" and "$", at most 63',
    }),
    about: 'Schema that holds the tables',
  }),
  dataDir: setting({
    group: 'database',
    env: 'CAPE_DATA_DIR',
    schema: text.optional(),
    about: "Folder of the embedded Postgres. Unset: the platform's data folder",
  }),
  migrate: setting({
    group: 'database',
    env: 'CAPE_MIGRATE',
    fallback: 'true',
    schema: flag,
    about: 'Bring the schema up to date at start (`--no-migrate`: only check its version)',
  }),
  workerId: setting({
    group: 'worker',
    env: 'CAPE_WORKER_ID',
    schema: workerIdSchema.optional(),
    about: 'Name of this worker, unique among all workers of the table; `run` needs one',
  }),
  concurrency: setting({
    group: 'worker',
    env: 'CAPE_CONCURRENCY',
    fallback: '1',
    schema: whole(1, 1000),
    about: 'Issues worked on at the same time',
  }),
  command: setting({
    group: 'worker',
    env: 'CAPE_COMMAND',
    schema: text.optional(),
    about: 'Command per issue, with or without `{id}` and `{description}`. Unset: `cape-adw`, else `uv run cape-adw`',
  }),
  passEnv: setting({
    group: 'worker',
    env: 'CAPE_PASS_ENV',
    fallback: '',
    schema: list,
    about: 'Further environment variables given to the command, by name or as `PREFIX_*`',
  }),
  workingDir: setting({
    group: 'worker',
    env: 'CAPE_WORKING_DIR',
    fallback: '.',
    schema: text,
    about: 'Folder that the command runs in',
  }),
  timeout: setting({
    group: 'worker',
    env: 'CAPE_TIMEOUT',
    fallback: '3600s',
    schema: duration({ min: 1000 }),
    about: 'A run that takes longer is ended; an issue may bring its own',
  }),
  grace: setting({
    group: 'worker',
    env: 'CAPE_GRACE',
    fallback: '10s',
    schema: duration({ max: 600_000 }),
    about: 'Between SIGTERM and SIGKILL',
  }),
  idleTimeout: setting({
    group: 'worker',
    env: 'CAPE_IDLE_TIMEOUT',
    fallback: '0',
    schema: duration({}),
    about: 'A run that prints nothing for so long is ended; 0 = off',
  }),
  pollInterval: setting({
    group: 'worker',
    env: 'CAPE_POLL_INTERVAL',
    fallback: '10s',
    schema: duration({ min: 100, max: 3_600_000 }),
    about: 'How often the queue is read where no notification arrives',
  }),
  lease: setting({
    group: 'worker',
    env: 'CAPE_LEASE',
    fallback: '300s',
    schema: duration({ min: 4000, max: 86_400_000 }),
    about: 'After so long without a sign of life of its worker an issue may be taken by another',
  }),
  drainTimeout: setting({
    group: 'worker',
    env: 'CAPE_DRAIN_TIMEOUT',
    schema: duration({}).optional(),
    about: 'How long a stopping worker lets its issues finish. Unset: as long as they may take',
  }),
  machineId: setting({
    group: 'worker',
    env: 'CAPE_MACHINE_ID',
    schema: text.optional(),
    about:
      'Identity of this machine and boot, where the system does not tell: only workers that share it see each other die',
  }),
  once: setting({
    group: 'worker',
    env: 'CAPE_ONCE',
    fallback: 'false',
    schema: flag,
    about: 'Leave after one issue',
  }),
  drain: setting({
    group: 'worker',
    env: 'CAPE_DRAIN',
    fallback: 'false',
    schema: flag,
    about: 'Leave when nothing that this worker may run is pending',
  }),
  maxAttempts: setting({
    group: 'retry',
    env: 'CAPE_MAX_ATTEMPTS',
    fallback: '3',
    schema: whole(0, 32_767),
    about: 'Failures before an issue ends failed, 0 = no limit; an issue may bring its own',
  }),
  retryBase: setting({
    group: 'retry',
    env: 'CAPE_RETRY_BASE',
    fallback: '10s',
    schema: duration({}),
    about: 'Pause after the first failure; doubles with each further one',
  }),
  retryCap: setting({
    group: 'retry',
    env: 'CAPE_RETRY_CAP',
    fallback: '1h',
    schema: duration({ max: 30 * 86_400_000 }),
    about: 'Longest pause between attempts',
  }),
  failExitCodes: setting({
    group: 'retry',
    env: 'CAPE_FAIL_EXIT_CODES',
    fallback: '64,65,78',
    schema: exitCodes,
    about: 'Exit codes that fail an issue at once',
  }),
  snoozeExitCodes: setting({
    group: 'retry',
    env: 'CAPE_SNOOZE_EXIT_CODES',
    fallback: '75',
    schema: exitCodes,
    about: 'Exit codes that mean "not now": tried again later, charged nothing',
  }),
  logDir: setting({
    group: 'logs',
    env: 'CAPE_LOG_DIR',
    fallback: 'logs',
    schema: text,
    about: 'Folder of the logs of the worker and of the issues',
  }),
  logLevel: setting({
    group: 'logs',
    env: 'CAPE_LOG_LEVEL',
    fallback: 'info',
    schema: logLevel,
    about: 'error, warn, info or debug, in any case',
  }),
  logFormat: setting({
    group: 'logs',
    env: 'CAPE_LOG_FORMAT',
    fallback: 'text',
    schema: z.enum(['text', 'json'], { error: 'must be text or json' }),
    about: 'text or json',
  }),
  logMaxSize: setting({
    group: 'logs',
    env: 'CAPE_LOG_MAX_SIZE',
    fallback: '20MiB',
    schema: size({ min: 64 * 1024 }),
    about: "The worker's log is rotated by day and at this size",
  }),
  logMaxDays: setting({
    group: 'logs',
    env: 'CAPE_LOG_MAX_DAYS',
    fallback: '14',
    schema: whole(1, 3650),
    about: "Days that the worker's logs are kept",
  }),
  outputLimit: setting({
    group: 'logs',
    env: 'CAPE_OUTPUT_LIMIT',
    fallback: '64MiB',
    schema: size({ min: 64 * 1024 }),
    about: "An attempt's output kept on disk; beyond it the middle is dropped",
  }),
  issueLogDays: setting({
    group: 'logs',
    env: 'CAPE_ISSUE_LOG_DAYS',
    fallback: '30',
    schema: whole(0, 36_500),
    about: 'Days that the output of ended issues is kept, 0 = for ever',
  }),
} as const;

/** A setting by its name in programs; `optionName` gives that of its option. */
export type SettingName = keyof typeof SETTINGS;
/** All settings with their values: durations in milliseconds, sizes in bytes. */
export type Config = { readonly [K in SettingName]: z.output<(typeof SETTINGS)[K]['schema']> };
/** Where a value came from. */
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
  /^CAPE_(ISSUE_ID|ISSUE_FILE|RESULT_FILE|ATTEMPT|IDEMPOTENCY_KEY|RUN|KEEPER|LISTEN_URL|API_[A-Z]+|EVENTS_FILE)$/;

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
    if (setting.secret && value?.trim() === '') throw emptyUrl(source);
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

/** Every setting: its option, its environment variable, its default, what is allowed and what it is, in one table. */
import * as z from 'zod';
import { workerIdSchema } from '../core/issue.js';
import { address, apiTokens, duration, exitCodes, flag, list, logLevel, size, whole } from '../core/values.js';

/** One row of the table. */
export interface Setting<T extends z.ZodType = z.ZodType> {
  readonly env: string;
  readonly about: string;
  readonly schema: T;
  /** As a person would write it; absent: the setting has no value unless given. */
  readonly fallback?: string;
  /** Never shown, and no option: arguments can be read by every user of the machine. */
  readonly secret?: true;
  readonly group: 'database' | 'worker' | 'retry' | 'logs' | 'http' | 'client';
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
  listenUrl: setting({
    group: 'database',
    env: 'CAPE_LISTEN_URL',
    secret: true,
    schema: z.string().trim().min(1, { error: 'must not be empty' }).optional(),
    about: 'Where DATABASE_URL leads to a pooler: the same database, past it, to hear of new issues at once',
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
  envFile: setting({
    group: 'worker',
    env: 'CAPE_ENV_FILE',
    schema: text.optional(),
    about: 'File of settings and of variables for the command, in place of the search for `.env`',
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
  aliveFile: setting({
    group: 'worker',
    env: 'CAPE_ALIVE_FILE',
    schema: text.optional(),
    about: "File whose time is renewed every 10 s while the worker's loops turn, for health checks. Unset: none",
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
    about: "Days that the worker's logs are kept, and how many files of them (at least 5)",
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
  outputEvents: setting({
    group: 'logs',
    env: 'CAPE_OUTPUT_EVENTS',
    fallback: '16MiB',
    schema: size({ min: 0 }),
    about: "An attempt's output kept in the database as events, live; beyond it the middle is dropped. 0 = none",
  }),
  historyDays: setting({
    group: 'logs',
    env: 'CAPE_HISTORY_DAYS',
    fallback: '90',
    schema: whole(0, 36_500),
    about: 'Days that events, and the attempts of ended issues, are kept in the database, 0 = for ever',
  }),
  http: setting({
    group: 'http',
    env: 'CAPE_HTTP',
    schema: address.optional(),
    about: 'Serve the HTTP API and the page in this worker, at `host:port` [127.0.0.1:7070]. Unset: it serves none',
  }),
  httpHosts: setting({
    group: 'http',
    env: 'CAPE_HTTP_HOSTS',
    fallback: '',
    schema: list,
    about: 'Further names that a request may be addressed to, such as that of a proxy in front',
  }),
  httpRate: setting({
    group: 'http',
    env: 'CAPE_HTTP_RATE',
    fallback: '3000',
    schema: whole(1, 1_000_000),
    about: 'Requests that one client may make in a minute',
  }),
  apiTokens: setting({
    group: 'http',
    env: 'CAPE_API_TOKENS',
    secret: true,
    schema: apiTokens.optional(),
    about: 'Who may use the API: `read:<token>,write:<token>`. Unset, on loopback: one is made at each start',
  }),
  apiUrl: setting({
    group: 'client',
    env: 'CAPE_API_URL',
    schema: text.optional(),
    about: 'Ask this HTTP API instead of the database',
  }),
  apiToken: setting({
    group: 'client',
    env: 'CAPE_API_TOKEN',
    secret: true,
    schema: text.optional(),
    about: 'Token for the HTTP API of CAPE_API_URL',
  }),
} as const;

/** A setting by its name in programs; `optionName` gives that of its option. */
export type SettingName = keyof typeof SETTINGS;
/** Those of a worker; the others are of commands that ask an HTTP API. */
export const WORKER_SETTINGS = (Object.keys(SETTINGS) as SettingName[]).filter(
  (name) => SETTINGS[name].group !== 'client',
);
/** All settings with their values: durations in milliseconds, sizes in bytes. */
export type Config = { readonly [K in SettingName]: z.output<(typeof SETTINGS)[K]['schema']> };
/** Where a value came from. `env file` is the one that --env-file or CAPE_ENV_FILE names. */
export type Source = 'flag' | 'environment' | '.env' | 'env file' | 'default';
/** `workerId` -> `worker-id`, as options are written. */
export function optionName(name: string): string {
  return name.replace(/[A-Z]/g, (upper) => `-${upper.toLowerCase()}`);
}

/** `service install`: a worker as a service of this machine, in one step that may be repeated. */
import { resolve } from 'node:path';
import { loadConfig, SETTINGS, type SettingName } from '../config.js';
import type { InstallWish } from '../service/plan.js';
import { FILE_SETTINGS } from '../service/service-settings.js';
import type { Scope } from '../service/spec.js';
import { command, flag, JSON_OPTION, value } from './command.js';
import { toStderr } from './database.js';
import { printJson } from './output.js';
import { type ApplyFlags, apply } from './service-apply.js';
import { SCOPE_OPTIONS, type ScopeFlags, scopeOf, thisHost, thisProgram, workerIdOf } from './service-options.js';
import { requireRoot } from './service-output.js';
import { groupedSettingOptions, settingFlags } from './setting-options.js';

export interface WishFlags extends ScopeFlags {
  readonly 'run-as'?: string;
  readonly 'allow-root'?: boolean;
  readonly 'env-file'?: string;
  readonly harden?: boolean;
  readonly 'with-database'?: boolean;
  readonly 'working-dir'?: string;
  readonly 'log-dir'?: string;
}

interface InstallFlags extends WishFlags, ApplyFlags {}

export const WISH_OPTIONS = {
  ...SCOPE_OPTIONS,
  'run-as': value('The account that the worker runs as. Unset: the user behind sudo'),
  'allow-root': flag('Let it run as root, and every command with it'),
  'env-file': value('Where its settings and secrets are kept, in place of the usual file'),
  harden: flag('Add restrictions that do not break an agent (systemd; `--no-harden` takes them away again)'),
  'with-database': flag('Install the embedded Postgres as a service of its own, for this worker and others'),
  ...groupedSettingOptions([...FILE_SETTINGS, 'workingDir']),
};

export const install = command<InstallFlags>({
  operands: '<worker-id>',
  count: { min: 1, max: 1 },
  options: {
    ...WISH_OPTIONS,
    start: flag('Start it; `--no-start` only makes it start with the machine'),
    wait: flag('Wait for running issues before a restart; `--no-wait` only asks for it'),
    'dry-run': flag('Print what would be written and done, and do nothing'),
    ...JSON_OPTION,
  },
  examples: [
    [
      "sudo cape-worker service install alleycat-1 --command './agent.sh'",
      'a service of the machine, which runs as you',
    ],
    ["service install alleycat-1 --user --command './agent.sh'", 'one of your own, without root'],
    ['service install alleycat-1 --user --concurrency 4 --dry-run', 'see what a change would do'],
  ],
  async run({ words, flags }) {
    const host = thisHost();
    const scope = scopeOf(flags) ?? (host.uid === 0 ? 'system' : 'user');
    const wish = wishOf(workerIdOf(words[0]), scope, flags);
    if (!flags['dry-run']) requireRoot(scope, host, `install ${wish.workerId}`);
    const { openManager } = await import('../service/open-manager.js');
    const { planInstall } = await import('../service/plan.js');
    const program = thisProgram();
    const plan = await planInstall(wish, await openManager(scope, host), program, host);
    const { result, exitCode } = await apply(plan, { program, renew: false, flags }, host);
    if (flags.json) printJson(result);
    return exitCode;
  },
});

/** @throws CapeError `usage` for a value that a setting can't have, `config` for a DATABASE_URL that is empty */
export function wishOf(workerId: string, scope: Scope, flags: WishFlags): InstallWish {
  return {
    workerId,
    scope,
    runAs: flags['run-as'],
    allowRoot: flags['allow-root'],
    envFile: absolute(flags['env-file']),
    workingDir: absolute(flags['working-dir']),
    logDir: absolute(flags['log-dir']),
    harden: flags.harden,
    withDatabase: flags['with-database'],
    variables: variablesOf(flags),
    database: databaseOf(),
    askPath: true,
  };
}

function absolute(path: string | undefined): string | undefined {
  return path === undefined ? undefined : resolve(path);
}

/** The settings that were given, as the env file has them. Checked as options: what is wrong is said of the option. */
function variablesOf(flags: object): Record<string, string | null> {
  // The env file is where they go, and may be yet to be written.
  const given = { ...settingFlags(flags), envFile: undefined };
  const names = [...FILE_SETTINGS, 'workingDir' as const].filter((name) => given[name] !== undefined);
  loadConfig({ flags: given, env: {}, only: names, dotenv: false });
  const entries = names.filter((name) => name !== 'workingDir').flatMap((name) => entriesOf(name, given[name]));
  return Object.fromEntries(entries);
}

function entriesOf(name: SettingName, given: unknown): [string, string | null][] {
  const { env } = SETTINGS[name];
  // A path means the same for the service as for who gives it.
  const text = name === 'dataDir' || name === 'logDir' ? resolve(String(given)) : String(given);
  // The other way of writing it would be a second word on the same thing.
  return typeof given === 'boolean'
    ? [
        [env, text],
        [env.replace('CAPE_', 'CAPE_NO_'), null],
      ]
    : [[env, text]];
}

/** Where whoever installs has the database; it is no option, since arguments are visible to every user of the machine. */
function databaseOf(): Record<string, string> {
  const { config, warnings } = loadConfig({ only: ['databaseUrl', 'listenUrl'] });
  for (const warning of warnings) toStderr(`cape-worker: ${warning}`);
  if (config.databaseUrl === undefined) return {};
  return {
    [SETTINGS.databaseUrl.env]: config.databaseUrl,
    ...(config.listenUrl === undefined ? {} : { [SETTINGS.listenUrl.env]: config.listenUrl }),
  };
}

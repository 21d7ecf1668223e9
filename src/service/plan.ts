/** What installing a service comes down to, as data: which files with which text, and how things stand. */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { CapeError } from '../core/errors.js';
import { parseUrl } from '../db/url.js';
import { chooseAccount, type FoundAccount } from './account.js';
import { type EnvFile, readEnvFile } from './env-file.js';
import { changeEnvText } from './env-text.js';
import { refuseOtherText, refuseStrangersFile } from './found-env-file.js';
import type { Host } from './host.js';
import { type InstalledService, installedServices, readInstalled } from './installed.js';
import { loginPath, servicePath } from './login-path.js';
import type { ServiceManager, ServiceState } from './manager.js';
import { checkNeighbours, isSame } from './neighbours.js';
import { envFileOf, isOurEnvFile, type Places, placesOf } from './places.js';
import { isAnyNewer, type Program } from './program.js';
import { checkSettings, type ServiceSettings } from './service-settings.js';
import type { Scope, ServiceSpec } from './spec.js';

/** What was asked for. What is undefined stays as it is installed, else it gets its default. */
export interface InstallWish {
  readonly workerId: string;
  readonly scope: Scope;
  readonly runAs?: string | undefined;
  readonly allowRoot?: boolean | undefined;
  /** Absolute, as the two folders. */
  readonly envFile?: string | undefined;
  readonly workingDir?: string | undefined;
  readonly logDir?: string | undefined;
  readonly harden?: boolean | undefined;
  readonly withDatabase?: boolean | undefined;
  /** Variables for the env file; null removes one. */
  readonly variables: Readonly<Record<string, string | null>>;
  /** DATABASE_URL, and what goes with it, of whoever installs: taken where the env file has none. */
  readonly database: Readonly<Record<string, string>>;
  /** Asks the account anew for its PATH; else the installed one stays. */
  readonly askPath: boolean;
}

export interface PlannedFile {
  readonly path: string;
  /** Null where there is none yet. */
  readonly before: string | null;
  readonly after: string;
}

export interface Plan {
  readonly workerId: string;
  readonly manager: ServiceManager;
  readonly places: Places;
  readonly account: FoundAccount;
  readonly spec: ServiceSpec;
  readonly unit: PlannedFile;
  readonly env: PlannedFile;
  /** Nobody but the env file names the log folder, and that is the account's to write: root must not make it. */
  readonly logDirIsAccounts: boolean;
  /** The database of the env file may be replaced: it was installed with this service. */
  readonly ownsDatabase: boolean;
  /** The env file has another mode or owner than it must have. */
  readonly envLoose: boolean;
  /** The worker's settings as it will have them; with the warnings also what speaks against its neighbours. */
  readonly settings: ServiceSettings;
  /** Null where the manager can't be asked (yet). */
  readonly state: ServiceState | null;
  /** The process that runs is older than its files: they were changed by hand, or by an install that did not restart. */
  readonly stale: boolean;
}

/** @throws CapeError `usage`, `config` or `refused`, before anything is changed */
export async function planInstall(
  wish: InstallWish,
  manager: ServiceManager,
  program: Program,
  host: Host,
): Promise<Plan> {
  const { workerId, scope } = wish;
  const installed = installedOr(wish, manager);
  const account = await chooseAccount(
    { scope, runAs: wish.runAs, allowRoot: wish.allowRoot ?? false, installed: installed?.spec.account ?? null },
    host,
  );
  const places = placesOf(scope, host);
  const envFile = wish.envFile ?? installed?.spec.envFile ?? envFileOf(places, workerId);
  const env = readEnvFile(envFile);
  if (!isOurEnvFile(places, envFile)) refuseStrangersFile(envFile, env, account);
  const { logDirIsAccounts, ...folders } = foldersOf({ wish, installed, env, program, account, places });
  const after = changeEnvText(env.text ?? '', variablesFor(wish, env, folders.logDir));
  const envLoose = env.text !== null && (env.mode !== 0o600 || env.uid !== account.uid);
  if (after !== (env.text ?? '') || envLoose) refuseOtherText(envFile, env.text);
  const settings = checkSettings(workerId, envFile, after, folders.workingDir);
  const withDatabase = wish.withDatabase ?? installed?.spec.withDatabase ?? false;
  const { databaseUrl } = settings.config;
  if (databaseUrl === undefined && !withDatabase) throw noDatabase(envFile);
  if (databaseUrl !== undefined && withDatabase && !isOnThisMachine(databaseUrl)) throw otherDatabase(envFile);
  const others = (await installedServices(host)).filter((other) => !isSame(other, wish));
  const doubts = checkNeighbours({ workerId, envFile, logDir: folders.logDir }, others, databaseUrl);
  const spec: ServiceSpec = {
    workerId,
    scope,
    account: { name: account.name, uid: account.uid, gid: account.gid, group: account.group, home: account.home },
    node: program.node,
    program: program.main,
    envFile,
    ...folders,
    path: await pathOf(wish, installed, account, program, host),
    harden: wish.harden ?? installed?.spec.harden ?? false,
    withDatabase,
    graceMs: settings.config.grace,
  };
  // A user's own systemd may not run before lingering is switched on.
  const state = await manager.state(workerId).catch(() => null);
  const unit = { path: manager.fileOf(workerId), before: installed?.text ?? null, after: manager.render(spec) };
  return {
    workerId,
    manager,
    places,
    account,
    spec,
    unit,
    env: { path: envFile, before: env.text, after },
    logDirIsAccounts,
    ownsDatabase: installed?.spec.withDatabase ?? false,
    envLoose,
    settings: { ...settings, warnings: [...settings.warnings, ...doubts] },
    state,
    stale: state?.pid != null && state.since !== null && isAnyNewer([unit.path, envFile], state.since),
  };
}

function installedOr({ workerId, scope }: InstallWish, manager: ServiceManager): InstalledService | undefined {
  const file = manager.fileOf(workerId);
  const [installed] = readInstalled(workerId, scope, manager);
  if (installed || !existsSync(file)) return installed;
  throw new CapeError(
    'refused',
    `${file} is there, and this program did not write it: look at it, stop what it runs, and move it away`,
  );
}

function noDatabase(envFile: string): CapeError {
  return new CapeError(
    'config',
    'DATABASE_URL: got nothing; a service needs a database: --with-database installs one, else set it in the ' +
      `environment of this command (sudo: --preserve-env=DATABASE_URL), in .env, or in ${envFile}`,
  );
}

/** For --with-database where the env file has another one: somebody's choice is not to be replaced in silence. */
export function otherDatabase(envFile: string): CapeError {
  return new CapeError(
    'refused',
    `--with-database: DATABASE_URL in ${envFile} names another database; take it out there to use the installed one, ` +
      'or say --no-with-database to keep it',
  );
}

/** The installed database is on the loopback address. */
function isOnThisMachine(url: string): boolean {
  return parseUrl(url).servers.every((server) => 'host' in server && LOOPBACK.test(server.host));
}

const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|::1)$/;

interface Known {
  readonly wish: InstallWish;
  readonly installed: InstalledService | undefined;
  readonly env: EnvFile;
  readonly program: Program;
  readonly account: FoundAccount;
  readonly places: Places;
}

function foldersOf({ wish, installed, env, program, account, places }: Known) {
  const { clone, root } = program;
  const workingDir = wish.workingDir ?? installed?.spec.workingDir ?? (clone ? root : account.home);
  const told = wish.logDir ?? installed?.spec.logDir ?? (clone ? join(root, 'logs') : places.logDir);
  const { CAPE_LOG_DIR: named } = env.values;
  // As the worker reads it: an empty one is none, and a relative one begins in its working folder.
  const logDir = wish.logDir === undefined && named ? resolve(workingDir, named) : told;
  return { workingDir, logDir, logDirIsAccounts: logDir !== told };
}

/** What is written into the env file; what it has of the database stays. */
function variablesFor({ variables, database, withDatabase }: InstallWish, { values }: EnvFile, logDir: string) {
  const named = values.DATABASE_URL !== undefined || withDatabase === true;
  return { ...(named ? {} : database), ...variables, CAPE_LOG_DIR: logDir };
}

async function pathOf(
  { askPath }: InstallWish,
  installed: InstalledService | undefined,
  account: FoundAccount,
  { node }: Program,
  host: Host,
): Promise<string> {
  const asked = askPath || !installed ? await loginPath(account, host) : null;
  return servicePath(node, asked ?? installed?.spec.path ?? null, host.platform);
}

/** True where nothing has to be written. */
export function isUnchanged({ unit, env, envLoose }: Plan): boolean {
  return unit.before === unit.after && env.before === env.after && !envLoose;
}

/** Taking a service away again: what install made, and nothing else. */
import { existsSync, readdirSync, rmdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { CapeError } from '../core/errors.js';
import { runAs } from './as-account.js';
import { uninstallDatabase } from './database.js';
import { readEnvFile, removeEnvFile } from './env-file.js';
import type { Host } from './host.js';
import { type InstalledService, installedServices } from './installed.js';
import { switchLingerOff, weSwitchedLingerOn } from './linger.js';
import { isOurEnvFile, placesOf } from './places.js';
import { isSameServer } from './same-database.js';

/** What is taken away, as data: `--dry-run` prints it. */
export interface Removal {
  readonly service: InstalledService;
  readonly unit: string;
  /** Null where it lies elsewhere than in our folder: then it is somebody's, who named it to install. */
  readonly envFile: string | null;
  /** Logs and state of this worker, for `--purge`. */
  readonly purged: readonly string[];
  /** Lingering is switched off: we switched it on, and no other service needs it. */
  readonly unlinger: boolean;
  /** The database that came with it goes too: no other service uses it. Its data only with `--purge`. */
  readonly database: boolean;
  /** Services that were given that database by its URL, and for which it stays. */
  readonly databaseUsers: readonly string[];
  readonly purge: boolean;
}

export async function planRemoval(service: InstalledService, purge: boolean, host: Host): Promise<Removal> {
  const { workerId, scope, manager, spec } = service;
  const others = (await installedServices(host)).filter((other) => !isSame(other, service));
  const ours = isOurEnvFile(placesOf(scope, host), spec.envFile) && existsSync(spec.envFile);
  const alone = !others.some((other) => other.spec.logDir === spec.logDir);
  const sharers = others.filter((other) => other.scope === scope && other.spec.withDatabase);
  const databaseUsers = spec.withDatabase && sharers.length === 0 ? usersOf(urlOf(service), others) : [];
  return {
    service,
    unit: manager.fileOf(workerId),
    envFile: ours ? spec.envFile : null,
    purged: purge ? tracesOf(workerId, spec.logDir, alone) : [],
    database: spec.withDatabase && sharers.length === 0 && databaseUsers.length === 0,
    databaseUsers,
    purge,
    unlinger: scope === 'user' && !others.some((other) => other.scope === 'user') && weSwitchedLingerOn(host),
  };
}

/** The URL in its env file; null where there is none, or it can't be read by us. */
function urlOf({ spec }: InstalledService): string | null {
  try {
    return readEnvFile(spec.envFile).values.DATABASE_URL ?? null;
  } catch (error) {
    if (error instanceof CapeError) return null;
    throw error;
  }
}

function usersOf(url: string | null, others: readonly InstalledService[]): string[] {
  if (url === null) return [];
  return others.filter((other) => isSameServer(urlOf(other) ?? '', url)).map(({ workerId }) => workerId);
}

function isSame(one: InstalledService, other: InstalledService): boolean {
  return one.workerId === other.workerId && one.scope === other.scope;
}

/** What a worker leaves in its log folder. The issues' own logs are shared: they go with the last worker that is installed. */
function tracesOf(workerId: string, logDir: string, alone: boolean): string[] {
  const names = existsSync(logDir) ? readdirSync(logDir) : [];
  const own = `worker_${workerId.replaceAll('.', '\\.')}`;
  const logs = new RegExp(
    `^(\\.${own}-audit\\.json|${own}(-\\d{4}-\\d{2}-\\d{2}(\\.\\d+)?|_std(out|err))?\\.log(\\.\\d+)?)$`,
  );
  const state = join('.state', workerId);
  const traces = names.filter((name) => logs.test(name) || (alone && name === 'issues'));
  if (existsSync(join(logDir, state))) traces.push(state);
  return traces.sort().map((name) => join(logDir, name));
}

export interface RemoveOptions {
  /** Ends running issues and gives them back, in place of waiting for them. */
  readonly now: boolean;
  readonly say: (line: string) => void;
}

/**
 * Stops and removes. What is gone already is passed over.
 * @returns warnings
 * @throws CapeError `refused` where the manager refuses
 */
export async function carryOutRemoval(removal: Removal, options: RemoveOptions, host: Host): Promise<string[]> {
  const { service, unit, envFile, purged } = removal;
  const { manager, workerId, spec } = service;
  const { say } = options;
  await manager.stop(workerId, { now: options.now });
  say(`stopped ${manager.nameOf(workerId)}`);
  await manager.disable(workerId);
  if (envFile !== null) {
    removeEnvFile(envFile);
    removeIfEmpty(dirname(envFile));
    say(`removed ${envFile}`);
  }
  const warnings = removal.purge ? await removeTraces(purged, service, host, say) : [];
  // Last: by it the service is found, so a second try goes on where the first one failed.
  rmSync(unit, { force: true });
  await manager.reload(workerId);
  say(`removed ${unit}`);
  if (removal.databaseUsers.length > 0) {
    const [first] = removal.databaseUsers;
    const todo = `cape-worker service install ${first} --with-database makes it go with that one`;
    warnings.push(`the database stays, since ${removal.databaseUsers.join(', ')} uses it; ${todo}`);
  }
  if (removal.database) {
    warnings.push(...(await uninstallDatabase(service.scope, { purge: removal.purge, say }, host)));
  }
  if (removal.unlinger) {
    const problem = await switchLingerOff(spec.account, host);
    if (problem === null) say(`switched lingering off for ${spec.account.name}`);
    else warnings.push(`lingering of ${spec.account.name} stays on: ${problem}`);
  }
  // Ours by its name; it holds the logs where no clone does, and the marker of lingering.
  removeIfEmpty(placesOf(service.scope, host).stateDir);
  return warnings;
}

/** By the account itself: in its own folder it may put links that root would follow. */
async function removeTraces(
  paths: readonly string[],
  { spec }: InstalledService,
  host: Host,
  say: (line: string) => void,
) {
  if (!existsSync(spec.logDir)) return [];
  // Without a path it removes nothing, and is content.
  const { code, problem } = await runAs(spec.account, host, 'rm', ['-rf', '--', ...paths]);
  if (code !== 0) return [`not all logs could be removed: ${problem}`];
  const state = join(spec.logDir, '.state');
  await runAs(spec.account, host, 'rmdir', ['--', state]);
  // Above it may be a folder of root's.
  const { code: left } = await runAs(spec.account, host, 'rmdir', ['--', spec.logDir]);
  if (left !== 0) removeIfEmpty(spec.logDir);
  say(`removed the logs and the state of ${spec.workerId} in ${spec.logDir}`);
  return [];
}

/** rmdir takes no folder that holds anything. */
function removeIfEmpty(folder: string): void {
  try {
    rmdirSync(folder);
  } catch {
    // Somebody else's file is in it, or it is gone.
  }
}

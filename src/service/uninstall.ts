/** Taking a service away again: what install made, and nothing else. */
import { existsSync, rmdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { oneLine } from '../core/text.js';
import { runAs } from './as-account.js';
import { uninstallDatabase } from './database.js';
import { removeEnvFile } from './env-file.js';
import type { Host } from './host.js';
import { type InstalledService, installedServices } from './installed.js';
import { switchLingerOff, weSwitchedLingerOn } from './linger.js';
import { isSame, isSamePath, urlOf } from './neighbours.js';
import { isOurEnvFile, placesOf } from './places.js';
import { isSameServer } from './same-database.js';
import { NO_TRACES, type Traces, tracesOf } from './traces.js';

/** What is taken away, as data: `--dry-run` prints it. */
export interface Removal {
  readonly service: InstalledService;
  readonly unit: string;
  /** Null where it lies elsewhere than in our folder: then it is somebody's, who named it to install. Or another's too. */
  readonly envFile: string | null;
  /** Logs and state of this worker, for `--purge`. */
  readonly purged: readonly string[];
  /** Why they stay although `--purge` was asked for; null where they don't. */
  readonly kept: string | null;
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
  const shared = others.some((other) => isSamePath(other.spec.envFile, spec.envFile));
  const ours = isOurEnvFile(placesOf(scope, host), spec.envFile) && existsSync(spec.envFile) && !shared;
  const traces = purge ? tracesToPurge(service, others) : NO_TRACES;
  const sharers = others.filter((other) => other.scope === scope && other.spec.withDatabase);
  const databaseUsers = spec.withDatabase && sharers.length === 0 ? usersOf(urlOf(service), others) : [];
  return {
    service,
    unit: manager.fileOf(workerId),
    envFile: ours ? spec.envFile : null,
    purged: traces.paths,
    kept: traces.problem,
    database: spec.withDatabase && sharers.length === 0 && databaseUsers.length === 0,
    databaseUsers,
    purge,
    unlinger: scope === 'user' && !others.some((other) => other.scope === 'user') && weSwitchedLingerOn(host),
  };
}

/** Two services of one id in one log folder have the same log files and the same state. */
function tracesToPurge({ workerId, spec }: InstalledService, others: readonly InstalledService[]): Traces {
  const beside = others.filter((other) => isSamePath(other.spec.logDir, spec.logDir));
  const twin = beside.find((other) => other.workerId === workerId);
  if (twin === undefined) return tracesOf(workerId, spec.logDir, beside.length === 0);
  const problem = `its logs and state in ${oneLine(spec.logDir)} stay: they are also those of the --${twin.scope} service`;
  return { paths: [], problem };
}

function usersOf(url: string | null, others: readonly InstalledService[]): string[] {
  if (url === null) return [];
  return others.filter((other) => isSameServer(urlOf(other) ?? '', url)).map(({ workerId }) => workerId);
}

/** For people: who keeps the database, where somebody does. */
export function databaseStays({ databaseUsers }: Pick<Removal, 'databaseUsers'>): string[] {
  const [first] = databaseUsers;
  if (first === undefined) return [];
  const todo = `cape-worker service install ${first} --with-database makes it go with that one`;
  return [`the database stays, since ${databaseUsers.join(', ')} uses it; ${todo}`];
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
  const { service, unit, envFile, purged, kept } = removal;
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
  const warnings = kept === null ? [] : [kept];
  if (removal.purge && kept === null) warnings.push(...(await removeTraces(purged, service, host, say)));
  // Last: by it the service is found, so a second try goes on where the first one failed.
  rmSync(unit, { force: true });
  await manager.reload(workerId);
  say(`removed ${unit}`);
  warnings.push(...databaseStays(removal));
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

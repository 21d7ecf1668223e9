/** How one installed service is doing, as data: what its manager, its files and its database say of it. */
import { dirname } from 'node:path';
import { CapeError, messageOf } from '../core/errors.js';
import { type AtWork, lookAtWork } from './at-work.js';
import { type DatabaseState, databaseState } from './database.js';
import { difference, type Line } from './difference.js';
import { healthProblems, versionOnDisk } from './health.js';
import type { Host } from './host.js';
import type { InstalledService } from './installed.js';
import type { ServiceState } from './manager.js';
import { isNewerThan, type Program } from './program.js';
import { redactByFile } from './redact.js';
import { readServiceSettings } from './service-settings.js';
import type { ServiceSpec } from './spec.js';

export interface Report {
  readonly service: InstalledService;
  /** A text where the manager can't be asked: why. */
  readonly state: ServiceState | string;
  /** The database that was installed with it; null where it has another one. */
  readonly database: DatabaseState | null;
  /** What an upgrade by this program would change in the installed file. */
  readonly drift: readonly Line[];
  /** What is wrong with the files that it names. */
  readonly problems: readonly string[];
  /** A text where it can't be known: why. */
  readonly atWork: AtWork | string;
  readonly version: { readonly running: string | null; readonly onDisk: string | null };
  /** The program or its Node was put there after the process was started. */
  readonly outdated: boolean;
  readonly log: readonly string[];
}

/** @param program this program, which an upgrade would write into the file */
export async function reportOn(
  service: InstalledService,
  program: Program,
  logLines: number,
  host: Host,
): Promise<Report> {
  const { manager, workerId, spec } = service;
  const state = await stateOf(service);
  const isUp = typeof state !== 'string' && state.pid !== null;
  const atWork = await lookAtWork(spec);
  const row = typeof atWork === 'string' ? null : atWork.row;
  const root = dirname(dirname(dirname(spec.program)));
  const installed: Program = { node: spec.node, main: spec.program, root, clone: program.clone };
  const lines = logLines === 0 ? [] : await manager.lastLines(workerId, logLines);
  const database = spec.withDatabase ? await databaseState(service.scope, host) : null;
  return {
    service,
    state,
    database,
    drift: driftOf(service, program),
    problems: [...healthProblems(spec), ...settingsDoubts(spec), ...databaseProblems(database, spec)],
    atWork,
    version: { running: isUp && row?.pid === state.pid ? row.version : null, onDisk: versionOnDisk(root) },
    outdated: isUp && state.since !== null && isNewerThan(installed, state.since),
    log: redactByFile(lines, spec.envFile),
  };
}

/** The user's own manager may not run; the files can be looked at all the same. */
async function stateOf({ manager, workerId }: InstalledService): Promise<ServiceState | string> {
  try {
    return await manager.state(workerId);
  } catch (error) {
    if (!(error instanceof CapeError)) throw error;
    return messageOf(error);
  }
}

function driftOf({ manager, spec, text }: InstalledService, { node, main }: Program): Line[] {
  return difference(text, manager.render({ ...spec, node, program: main, ...byEnvFile(spec) }));
}

function databaseProblems(database: DatabaseState | null, { workerId }: ServiceSpec): string[] {
  if (database === null || database.state === null || database.state === 'active') return [];
  const { name, state, start } = database;
  const todo = state === 'not installed' ? `cape-worker service install ${workerId} --with-database` : start;
  return [`its database ${name} is ${state}: ${todo}`];
}

/** What its worker passes over in the env file; what is wrong in it is said where the database is. */
function settingsDoubts(spec: ServiceSpec): readonly string[] {
  try {
    return readServiceSettings(spec).warnings;
  } catch (error) {
    if (!(error instanceof CapeError)) throw error;
    return [];
  }
}

/** The installed file follows the env file's grace and log folder, where that can be read. */
function byEnvFile(spec: ServiceSpec): Pick<ServiceSpec, 'graceMs' | 'logDir'> {
  try {
    const { config, environment } = readServiceSettings(spec);
    return { graceMs: config.grace, logDir: environment.CAPE_LOG_DIR ?? spec.logDir };
  } catch (error) {
    if (!(error instanceof CapeError)) throw error;
    return spec;
  }
}

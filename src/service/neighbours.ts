/** Other services of this machine, as far as they can be seen: what two workers can't share, and what they should not. */
import { realpathSync } from 'node:fs';
import { CapeError } from '../core/errors.js';
import { oneLine } from '../core/text.js';
import { readEnvFile } from './env-file.js';
import type { InstalledService } from './installed.js';
import { isSameQueue } from './same-database.js';
import type { ServiceSpec } from './spec.js';

/**
 * Makes sure that a service has its env file, and its traces in the log folder, for itself.
 * @param others all other installed services
 * @param databaseUrl undefined where it is yet to be made
 * @returns warnings
 * @throws CapeError `refused` where it would take what another one needs
 */
export function checkNeighbours(
  { workerId, envFile, logDir }: Pick<ServiceSpec, 'workerId' | 'envFile' | 'logDir'>,
  others: readonly InstalledService[],
  databaseUrl: string | undefined,
): string[] {
  const user = others.find((other) => isSamePath(other.spec.envFile, envFile));
  if (user) {
    throw new CapeError(
      'refused',
      `--env-file: ${oneLine(envFile)} is that of ${nameOf(user)}; every service needs a file of its own`,
    );
  }
  const beside = others.filter((other) => isSamePath(other.spec.logDir, logDir));
  const twin = beside.find((other) => other.workerId === workerId);
  if (twin) {
    throw new CapeError(
      'refused',
      `${nameOf(twin)} has the same id and the same log folder, ${oneLine(logDir)}; choose another id, or --log-dir`,
    );
  }
  const stranger = beside.find((other) => hasOtherQueue(other, databaseUrl));
  if (!stranger) return [];
  const what = 'their logs of an issue with the same id overwrite each other; give each its own --log-dir';
  return [`${nameOf(stranger)} logs to ${oneLine(logDir)} too, and has another database: ${what}`];
}

function hasOtherQueue(other: InstalledService, databaseUrl: string | undefined): boolean {
  const url = urlOf(other);
  return databaseUrl !== undefined && url !== null && !isSameQueue(url, databaseUrl);
}

function nameOf({ workerId, scope }: InstalledService): string {
  return `the service ${oneLine(workerId)} (--${scope})`;
}

/** The URL in its env file; null where there is none, or it can't be read by us. */
export function urlOf({ spec }: InstalledService): string | null {
  try {
    return readEnvFile(spec.envFile).values.DATABASE_URL ?? null;
  } catch (error) {
    if (error instanceof CapeError) return null;
    throw error;
  }
}

export function isSame(
  one: Pick<InstalledService, 'workerId' | 'scope'>,
  other: Pick<InstalledService, 'workerId' | 'scope'>,
): boolean {
  return one.workerId === other.workerId && one.scope === other.scope;
}

/** Also by a link on the way. */
export function isSamePath(one: string, other: string): boolean {
  return one === other || realOf(one) === realOf(other);
}

function realOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path; // not there yet, or not for us to see
  }
}

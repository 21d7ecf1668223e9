/** What an installed service was told, by its file alone: works without asking the service manager, and for everybody. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { closest } from 'fastest-levenshtein';
import { CapeError } from '../core/errors.js';
import { oneLine } from '../core/text.js';
import type { Host } from './host.js';
import { labelOf, placesOf, unitNameOf, workerOfPlist, workerOfUnit } from './places.js';
import { parsePlist } from './plist.js';
import { SCOPES, type ServiceSpec } from './spec.js';
import { parseUnit } from './unit.js';

/**
 * The service of this worker: the user's own goes before the machine's.
 * @throws CapeError `refused` where it is not installed, with what may be meant
 */
export function findSpec(workerId: string, host: Host): ServiceSpec {
  for (const scope of SCOPES) {
    const spec = readSpec(join(placesOf(scope, host).unitDir, fileName(workerId, host)), host);
    if (spec) return spec;
  }
  throw notInstalled(workerId, host);
}

function fileName(workerId: string, { platform }: Host): string {
  return platform === 'darwin' ? `${labelOf(workerId)}.plist` : unitNameOf(workerId);
}

/** Null where there is none, or one that this program did not write. */
function readSpec(file: string, { platform }: Host): ServiceSpec | null {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    throw new CapeError('config', `${oneLine(file)}: can't be read (${code})`);
  }
  return platform === 'darwin' ? parsePlist(text) : parseUnit(text);
}

function notInstalled(workerId: string, host: Host): CapeError {
  const others = SCOPES.flatMap((scope) => installedIn(placesOf(scope, host).unitDir, host));
  const hint = others.length === 0 ? 'none is, that you can see' : `did you mean ${closest(workerId, others)}?`;
  return new CapeError('refused', `worker ${oneLine(workerId)} is not installed as a service on this machine; ${hint}`);
}

function installedIn(folder: string, { platform }: Host): string[] {
  const idOf = platform === 'darwin' ? workerOfPlist : workerOfUnit;
  try {
    return readdirSync(folder).flatMap((file) => idOf(file) ?? []);
  } catch {
    return []; // Only a hint: a folder that is not there, or closed, has none to name.
  }
}

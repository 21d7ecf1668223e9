/** The services that are installed on this machine, whoever's. */
import { existsSync, readFileSync } from 'node:fs';
import { closest } from 'fastest-levenshtein';
import { CapeError } from '../core/errors.js';
import { oneLine } from '../core/text.js';
import type { Host } from './host.js';
import type { ServiceManager } from './manager.js';
import { openManager } from './open-manager.js';
import { SCOPES, type Scope, type ServiceSpec } from './spec.js';

export interface InstalledService {
  readonly workerId: string;
  readonly scope: Scope;
  readonly manager: ServiceManager;
  /** Text of its unit or plist. */
  readonly text: string;
  /** What that was rendered from. */
  readonly spec: ServiceSpec;
}

/** All of one scope, or of both; by scope and id. */
export async function installedServices(host: Host, scope?: Scope): Promise<InstalledService[]> {
  const found: InstalledService[] = [];
  for (const one of scope === undefined ? SCOPES : [scope]) {
    const manager = await openManager(one, host);
    for (const id of await manager.list()) found.push(...(readInstalled(id, one, manager) ?? []));
  }
  return found;
}

/** The service of this worker in this scope; empty where there is none of ours. */
export function readInstalled(workerId: string, scope: Scope, manager: ServiceManager): InstalledService[] {
  const file = manager.fileOf(workerId);
  if (!existsSync(file)) return [];
  const text = readFileSync(file, 'utf8');
  const spec = manager.parse(text);
  return spec === null ? [] : [{ workerId, scope, manager, text, spec }];
}

/**
 * The service of a worker: the user's own goes before the machine's.
 * @throws CapeError `refused` where it is not installed, with what may be meant
 */
export async function findService(workerId: string, host: Host, scope?: Scope): Promise<InstalledService> {
  const all = await installedServices(host, scope);
  const found = all.find((service) => service.workerId === workerId);
  if (found) return found;
  const others = all.map((service) => service.workerId);
  const near = others.length === 0 ? 'no service is' : `did you mean ${closest(workerId, others)}? Installed`;
  const list = others.length === 0 ? '' : `: ${[...new Set(others)].sort().join(', ')}`;
  const where = scope === undefined ? '' : ` with --${scope}`;
  throw new CapeError(
    'refused',
    `${oneLine(workerId)} is not installed as a service${where}; ${near}${list || ' installed'}`,
  );
}

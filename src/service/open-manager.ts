/** The service manager of this machine. */
import { CapeError } from '../core/errors.js';
import type { Host } from './host.js';
import { openLaunchd } from './launchd.js';
import type { ServiceManager } from './manager.js';
import type { Scope } from './spec.js';
import { openSystemd } from './systemd.js';

/** @throws CapeError `refused` on a platform without one that we know, or where it does not run */
export async function openManager(scope: Scope, host: Host): Promise<ServiceManager> {
  if (host.platform === 'linux') return openSystemd(scope, host);
  if (host.platform === 'darwin') return openLaunchd(scope, host);
  throw new CapeError('refused', `services are known on Linux (systemd) and macOS (launchd), not on ${host.platform}`);
}

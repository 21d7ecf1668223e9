/** Which machine this is, so that a worker can tell "on my machine, provably dead" from "somewhere else, unknown". */
import { bootId, pidNamespace } from './processes.js';

/**
 * This boot of this kernel and this pid namespace: two processes with the same identity see the same pids. A host name
 * would not do: two containers, or a cloned virtual machine, may share one.
 * @returns null where the system does not tell; no death is then ever taken as proven
 */
export function machineIdentity(): string | null {
  try {
    return `${bootId()} ${pidNamespace()}`.trim() || null;
  } catch {
    return null; // hidden by a sandbox: the lease's time decides, as for any other host
  }
}

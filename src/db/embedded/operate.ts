/** What people do to the embedded Postgres from outside: look at it, stop it. */

import { clusterMajor, readPassword, urlOf } from './cluster.js';
import { layoutOf } from './data-dir.js';
import { clientsOf } from './membership.js';
import { inspect, type ServerState } from './postmaster.js';
import { refuseServices } from './run-by-service.js';
import { stopServer } from './server.js';

/** What `cape-worker db status` shows. */
export interface EmbeddedStatus {
  state: ServerState;
  dataDir: string;
  pid?: number;
  /** Of a running server. */
  url?: string;
  /** The major version of the cluster. */
  version?: number;
  /** Connections to a running server, besides the one by which each process says that it uses the server. */
  clients?: number;
}

/** The state of the server of a data folder. */
export async function embeddedStatus({ dataDir }: { dataDir: string }): Promise<EmbeddedStatus> {
  const layout = layoutOf(dataDir);
  const { state, pid, port } = await inspect(layout.cluster);
  const version = await clusterMajor(layout);
  const password = await readPassword(layout);
  const url = state === 'running' && port && password ? urlOf(password, port) : undefined;
  // It may be stopping by now, or have no connection left: the rest of the status is true all the same.
  const clients = url ? await clientsOf(url).catch(() => undefined) : undefined;
  return {
    state,
    dataDir: layout.dataDir,
    ...(pid !== null && { pid }),
    ...(url && { url }),
    ...(version !== null && { version }),
    ...(clients !== undefined && { clients }),
  };
}

/**
 * Stops the server of a data folder, whoever uses it: their queries fail, and they start no other.
 * @param force Does not wait for sessions to end or data to be written: the next start recovers, nothing committed is lost.
 * @throws CapeError database where it does not stop within a minute, or runs under another user; refused where a service
 *   runs it, which would start it again.
 */
export async function stopEmbedded(
  { dataDir }: { dataDir: string },
  force = false,
): Promise<'stopped' | 'not running'> {
  const layout = layoutOf(dataDir);
  await refuseServices(layout, 'stop');
  const stopped = await stopServer(layout.cluster, force ? 'SIGQUIT' : 'SIGINT');
  return stopped ? 'stopped' : 'not running';
}

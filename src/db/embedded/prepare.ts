/** An embedded Postgres that a service manager runs: made ready here, started, watched and stopped there. */

import { join } from 'node:path';
import { findBinaries, packagedNative, systemFolders } from './binaries.js';
import { clusterMajor, createCluster, ensurePassword, urlOf } from './cluster.js';
import { layoutOf } from './data-dir.js';
import { removeCopies } from './libraries.js';
import { makeFolders, type Owner } from './owner.js';
import { choosePort } from './port.js';
import { inspect } from './postmaster.js';
import { serverSettings } from './server.js';

export interface PrepareOptions {
  dataDir: string;
  /** The account that the server runs under; null = the present one. */
  owner: Owner | null;
  /** Told what takes time, one line each. */
  log?: (line: string) => void;
  /** To look for a Postgres of the system where the package is not installed. */
  searchPath?: string;
}

/** All that it takes to run the server. */
export interface PreparedServer {
  /** Holds the password. */
  url: string;
  /** `pg_ctl`, beside its `postgres`. */
  pgCtl: string;
  /** Folders for the dynamic linker; empty for a system's own programs. */
  libraries: readonly string[];
  /** The cluster, PGDATA. Its `postmaster.pid` tells the server's pid. */
  cluster: string;
  /** What `postgres` is to be told, `name=value` each. */
  settings: readonly string[];
}

/**
 * Makes the folders, the programs, the cluster and its port, where they are missing. Starts nothing, and may be called
 * while the server runs. The programs are a copy in the data folder: a service must outlive the clone or package that it was
 * installed from, and the account may not be able to read that.
 * @throws CapeError config or database, as `startEmbedded` does
 */
export async function prepareEmbedded({
  dataDir,
  owner,
  log,
  searchPath = '',
}: PrepareOptions): Promise<PreparedServer> {
  const layout = layoutOf(dataDir);
  await makeFolders(layout, owner);
  const wanted = await clusterMajor(layout);
  const search = { layout, owner, wanted, native: packagedNative(), folders: await systemFolders(searchPath) };
  const binaries = await findBinaries({ ...search, inPlace: false });
  const password = await ensurePassword(layout, owner);
  if (wanted === null) {
    log?.(`making a database of Postgres ${binaries.major} in ${layout.cluster}`);
    await createCluster(layout, binaries, owner);
  }
  // That of a running server is not free.
  const port = (await inspect(layout.cluster)).port ?? (await choosePort(layout));
  return {
    url: urlOf(password, port),
    pgCtl: join(binaries.bin, 'pg_ctl'),
    libraries: binaries.libraries,
    cluster: layout.cluster,
    settings: serverSettings(port),
  };
}

/** Removes the copies of other versions; for when the server runs with the one that was prepared last. */
export async function forgetOldPrograms(dataDir: string, { pgCtl }: Pick<PreparedServer, 'pgCtl'>): Promise<void> {
  await removeCopies(layoutOf(dataDir), pgCtl);
}

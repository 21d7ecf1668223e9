/** The Postgres that comes along, for a machine that has none: one server per data folder, shared by its user's processes. */

import { setTimeout as sleep } from 'node:timers/promises';
import { CapeError, messageOf } from '../../core/errors.js';
import { findBinaries, packagedNative, systemFolders } from './binaries.js';
import { clusterMajor, createCluster, ensurePassword, urlOf } from './cluster.js';
import { type Layout, layoutOf } from './data-dir.js';
import { isRefused, join, type Membership, refused } from './membership.js';
import { chooseOwner, makeFolders, type Owner } from './owner.js';
import { inspect } from './postmaster.js';
import { launch, stopServer } from './server.js';

export interface EmbeddedOptions {
  /** The folder for all its data; made if it is missing. */
  dataDir: string;
  /** Told what takes time or is worth knowing, one line each. */
  log?: (line: string) => void;
  /** This process was started by an attempt: attach to a running server, never start one, which would end with the attempt. */
  insideAttempt?: boolean;
  /** $PATH, to look for a Postgres of the system where the package is not installed. Default: the usual folders only. */
  searchPath?: string;
}

/** A server in use by this process. */
export interface Embedded {
  /** For psql and postgres.js alike; holds the password. */
  url: string;
  dataDir: string;
  /**
   * Leaves; the last one out stops the server. Close all connections of this process first.
   * A process that ends without it leaves the server running until the next one leaves, or `stopEmbedded`.
   */
  release(): Promise<void>;
  /** One line for people about how it runs, or null where there is nothing to say. */
  note: string | null;
}

/** Recovery after a crash replays up to a gigabyte of log. */
const START_DEADLINE_MS = 120_000;
/** Starts that may fail in a row; one is lost to another process that starts at the same time. */
const START_TRIES = 3;

/**
 * Starts the server of the data folder, or attaches to it if it runs. Holds a connection, and with it this process,
 * until `release()`. If somebody stops the server meanwhile, it stays stopped: connections fail until the next start.
 * @throws CapeError config for a folder, an account or binaries that will not do; database for a server that does not start.
 */
export async function startEmbedded(options: EmbeddedOptions): Promise<Embedded> {
  const layout = layoutOf(options.dataDir);
  const owner = await chooseOwner(layout, process.getuid?.() ?? -1);
  const { url, member } = await enter(layout, owner, options);
  let left: Promise<void> | undefined;
  return {
    url,
    dataDir: layout.dataDir,
    note: owner && `Postgres runs as user ${owner.name}, since it refuses to run as root`,
    release: () => {
      left ??= member.leave(() => stopServer(layout.cluster));
      return left;
    },
  };
}

/** Looks, starts where nothing runs, joins; again from the look if the server went away in between. */
async function enter(
  layout: Layout,
  owner: Owner | null,
  options: EmbeddedOptions,
): Promise<{ url: string; member: Membership }> {
  const deadline = performance.now() + START_DEADLINE_MS;
  const failures: string[] = [];
  while (failures.length < START_TRIES && performance.now() < deadline) {
    const { state, port } = await inspect(layout.cluster);
    if (state === 'absent' || state === 'stopped') {
      if (options.insideAttempt) throw insideAttempt();
      const failure = await start(layout, owner, options);
      if (failure) failures.push(failure);
    } else if (state === 'running' && port) {
      const url = urlOf(await ensurePassword(layout, owner), port);
      const member = await join(url).catch((error: unknown) => {
        if (isRefused(error)) throw refused(layout.password, error);
        return messageOf(error); // it is stopping, or was stopped: look again
      });
      if (typeof member !== 'string') return { url, member };
    }
    await sleep(20);
  }
  const reason = failures.at(-1) ?? 'it was not ready within 120 s';
  throw new CapeError('database', `the embedded Postgres in ${layout.cluster} does not start: ${reason}`);
}

/** @returns Null, or why the server did not start. */
async function start(layout: Layout, owner: Owner | null, options: EmbeddedOptions): Promise<string | null> {
  await makeFolders(layout, owner);
  const wanted = await clusterMajor(layout);
  const folders = await systemFolders(options.searchPath ?? '');
  const binaries = await findBinaries({ layout, owner, wanted, native: packagedNative(), folders });
  await ensurePassword(layout, owner);
  if (wanted === null) {
    options.log?.(`making a database of Postgres ${binaries.major} in ${layout.cluster}`);
    await createCluster(layout, binaries, owner);
  }
  return launch(layout, binaries, owner);
}

function insideAttempt(): CapeError {
  return new CapeError(
    'database',
    'no database: the embedded Postgres is not running and is never started from within an attempt, whose end would end it: set DATABASE_URL, or run `cape-worker db start` outside',
  );
}

/** The Postgres that comes along, for a machine that has none: one server per data folder, shared by its user's processes. */

import { setTimeout as sleep } from 'node:timers/promises';
import { CapeError, messageOf } from '../../core/errors.js';
import { failureOf } from '../failure.js';
import { findBinaries, packagedNative, systemFolders } from './binaries.js';
import { clusterMajor, createCluster, ensurePassword, urlOf } from './cluster.js';
import { type Layout, layoutOf } from './data-dir.js';
import { join, type Membership } from './membership.js';
import { chooseOwner, makeFolders, type Owner } from './owner.js';
import { inspect } from './postmaster.js';
import { refuseServices } from './run-by-service.js';
import { isKept, keepRunning, launch, stopServer } from './server.js';

export interface EmbeddedOptions {
  /** The folder for all its data; made if it is missing. */
  dataDir: string;
  /** Told what takes time, one line each. */
  log?: (line: string) => void;
  /** This process belongs to an attempt: attach to a running server, never start one, which would end with the attempt. */
  insideAttempt?: boolean;
  /** $PATH, to look for a Postgres of the system where the package is not installed. Default: the usual folders only. */
  searchPath?: string;
}

/** A server in use by this process. */
export interface Embedded {
  /** For psql and postgres.js alike; holds the password. */
  url: string;
  dataDir: string;
  /** One line for people about how it runs, or null where there is nothing to say. */
  note: string | null;
  /**
   * Leaves; the last one out stops the server. Close the other connections of this process first.
   * A process that ends without it leaves the server running until the next one leaves, or `stopEmbedded`.
   */
  release(): Promise<void>;
  /** Leaves, and the server stays until `stopEmbedded`, whoever else comes and goes. */
  leaveRunning(): Promise<void>;
}

/** Recovery after a crash replays up to a gigabyte of log. */
const START_DEADLINE_MS = 120_000;
/** After each failed start in a row. The backends of a server that was killed keep a new one from starting while they end. */
const PAUSES_MS = [50, 200, 500, 1000];

/**
 * Starts the server of the data folder, or attaches to it if it runs. Holds a connection, and with it this process,
 * until `release()`. Where somebody stops the server meanwhile it stays stopped, and queries fail until the next start.
 * @throws CapeError config for a folder, an account or binaries that will not do; database for a server that does not start.
 */
export async function startEmbedded(options: EmbeddedOptions): Promise<Embedded> {
  const layout = layoutOf(options.dataDir);
  if (!process.getuid) throw new CapeError('config', 'no embedded Postgres on Windows: use WSL, or set DATABASE_URL');
  const owner = await chooseOwner(layout, process.getuid());
  const { url, member } = await enter(layout, owner, options);
  let left: Promise<void> | undefined;
  return {
    url,
    dataDir: layout.dataDir,
    note: owner && `Postgres runs as user ${owner.name}, since it refuses to run as root`,
    release() {
      left ??= member.leave(async () => (await isKept(layout)) || stopServer(layout.cluster));
      return left;
    },
    leaveRunning() {
      left ??= keepRunning(layout).finally(() => member.abandon());
      return left;
    },
  };
}

interface Entered {
  url: string;
  member: Membership;
}

/** Looks, starts where nothing runs, joins; from the look again where the server went away in between. */
async function enter(layout: Layout, owner: Owner | null, options: EmbeddedOptions): Promise<Entered> {
  const deadline = performance.now() + START_DEADLINE_MS;
  const failures: string[] = [];
  while (failures.length <= PAUSES_MS.length && performance.now() < deadline) {
    const { state, port } = await inspect(layout.cluster);
    if (state === 'absent' || state === 'stopped') {
      if (options.insideAttempt) throw insideAttempt();
      await refuseServices(layout, 'start');
      const failure = await start(layout, owner, options);
      if (failure !== null) await sleep(PAUSES_MS[failures.push(failure) - 1]);
    } else {
      const entered = state === 'running' && port !== null && (await attach(layout, owner, port));
      if (entered) return entered;
      await sleep(20); // it is starting or stopping
    }
  }
  const reason = failures.at(-1) ?? 'not ready within 120 s';
  throw new CapeError('database', `the embedded Postgres in ${layout.cluster} does not start: ${reason}`);
}

/** @returns Null where the server went away before we had joined. */
async function attach(layout: Layout, owner: Owner | null, port: number): Promise<Entered | null> {
  const url = urlOf(await ensurePassword(layout, owner), port);
  try {
    return { url, member: await join(url) };
  } catch (error) {
    if (failureOf(error).kind !== 'refused') return null;
    const message = `the embedded Postgres in ${layout.cluster} refuses the login with the password in ${layout.password}`;
    throw new CapeError('database', `${message}: ${messageOf(error)}`, { cause: error });
  }
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
    'the embedded Postgres is not running and is not started from within an attempt, which would take it along at its end: set DATABASE_URL, or run `cape-worker db start` outside',
  );
}

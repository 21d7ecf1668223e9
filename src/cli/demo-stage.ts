/** What the demo runs on: a folder and a Postgres of its own, which never meet those of the user. */
import { chmod, mkdtemp, realpath, rm, rmdir, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { messageOf } from '../core/errors.js';
import { startEmbedded, stopEmbedded } from '../db/embedded/index.js';

export interface DemoFolder {
  readonly path: string;
  /** Of the Postgres: removed when it has stopped. */
  readonly database: string;
  /** The scratch repository that the example command makes where it runs. */
  readonly repository: string;
  readonly logDir: string;
}

/** Makes the folder of this run, in the system's folder for temporary files. */
export async function makeFolder(): Promise<DemoFolder> {
  const path = await mkdtemp(join(await temporary(), 'cape-demo-'));
  // Made with 0700; root's Postgres runs as another user, who must be able to pass.
  if (process.getuid?.() === 0) await chmod(path, 0o711);
  return {
    path,
    database: join(path, 'database'),
    repository: join(path, 'cape-adw-scratch'),
    logDir: join(path, 'logs'),
  };
}

/** Root's own TMPDIR may be closed to all others (as libpam-tmpdir makes it), and with it to its Postgres. */
async function temporary(): Promise<string> {
  const usual = await realpath(tmpdir());
  return process.getuid?.() === 0 && !(await isOpenToAll(usual)) ? '/tmp' : usual;
}

async function isOpenToAll(folder: string): Promise<boolean> {
  const { mode } = await stat(folder);
  if (!(mode & 0o001)) return false;
  return folder === dirname(folder) || isOpenToAll(dirname(folder));
}

/** Removes what is empty: a demo that did not get far leaves nothing, one that did leaves its work to be looked at. */
export async function removeIfEmpty(folder: DemoFolder): Promise<boolean> {
  return rmdir(folder.path).then(
    () => true,
    () => false,
  );
}

export async function removeFolder(folder: DemoFolder): Promise<void> {
  await rm(folder.path, { recursive: true, force: true });
}

/**
 * Gives `work` the URL of a Postgres that exists for it alone. However it ends, the server is stopped and its data removed.
 * @param say told what takes time
 * @throws CapeError where it can't be started, or stopped
 */
export async function withPostgres<T>(
  folder: DemoFolder,
  searchPath: string,
  say: (line: string) => void,
  work: (url: string) => Promise<T>,
): Promise<T> {
  const { database: dataDir } = folder;
  let result: T;
  try {
    result = await whileRunning(dataDir, searchPath, say, work);
  } catch (error) {
    // Said and not thrown: it would hide why the demo failed.
    await remove(dataDir).catch((reason) => say(`${dataDir} can't be removed: ${messageOf(reason)}`));
    throw error;
  }
  await remove(dataDir);
  return result;
}

async function whileRunning<T>(
  dataDir: string,
  searchPath: string,
  say: (line: string) => void,
  work: (url: string) => Promise<T>,
): Promise<T> {
  const { url, note, release } = await startEmbedded({ dataDir, log: say, searchPath });
  if (note !== null) say(note);
  say(`Postgres is ready on port ${new URL(url).port}`);
  try {
    return await work(url);
  } finally {
    await release();
  }
}

/** `release` leaves a server to others where there are any; this one is nobody else's. */
async function remove(dataDir: string): Promise<void> {
  await stopEmbedded({ dataDir });
  await rm(dataDir, { recursive: true, force: true });
}

/**
 * Under which uid the server runs, and the folders that it must be able to enter.
 * Postgres refuses to run as root, so root hands it to another account.
 */

import { chmod, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { execa } from 'execa';
import { CapeError, messageOf } from '../../core/errors.js';
import { makeFolderAsync } from '../../folders.js';
import type { Layout } from './data-dir.js';

/** An account to run the server under. */
export interface Owner {
  uid: number;
  gid: number;
  /** For messages. */
  name: string;
}

/** A service account is better than `nobody`, which other daemons may share. */
const CANDIDATES = ['cape-worker', 'postgres', 'nobody'];

/**
 * The account to run the server under, or null for the present one.
 * An existing cluster decides: only its owner can run it.
 * @throws CapeError config where the cluster belongs to someone else, or root finds no account to use.
 */
export async function chooseOwner(layout: Layout, uid: number): Promise<Owner | null> {
  const cluster = await stat(layout.cluster).catch(() => null); // none yet, or closed to us, which shows when it is read
  if (uid !== 0) {
    if (cluster && cluster.uid !== uid) {
      throw new CapeError(
        'config',
        `${layout.cluster} belongs to uid ${cluster.uid}, this is uid ${uid}: run as that user, or set CAPE_DATA_DIR to another folder`,
      );
    }
    return null;
  }
  if (cluster && cluster.uid !== 0) return { uid: cluster.uid, gid: cluster.gid, name: await nameOf(cluster.uid) };
  for (const name of CANDIDATES) {
    const owner = await account(name);
    if (owner) return owner;
  }
  throw new CapeError(
    'config',
    `Postgres refuses to run as root and none of the users ${CANDIDATES.join(', ')} exists: add one, or set DATABASE_URL`,
  );
}

/** `id` and not /etc/passwd, since accounts may come from a directory service, and do on macOS. */
async function account(name: string): Promise<Owner | null> {
  try {
    const [uid, gid] = await Promise.all([execa('id', ['-u', name]), execa('id', ['-g', name])]);
    return { uid: Number(uid.stdout), gid: Number(gid.stdout), name };
  } catch {
    return null; // no such account
  }
}

async function nameOf(uid: number): Promise<string> {
  return execa('id', ['-un', String(uid)]).then(
    ({ stdout }) => stdout.trim(),
    () => `uid ${uid}`,
  );
}

/**
 * Makes the folders of the layout: private to us, and where the server runs under another uid enterable by it
 * (mode 0711: entered, not listed).
 * @throws CapeError config for a folder that cannot be made or that the owner cannot enter.
 */
export async function makeFolders(layout: Layout, owner: Owner | null): Promise<void> {
  const mode = owner ? 0o711 : 0o700;
  try {
    const first = await makeFolderAsync(layout.home, mode);
    if (!owner) return;
    // A umask of 077 would have closed them.
    if (first) for (const folder of upTo(layout.home, first)) await chmod(folder, mode);
    const { mode: had, uid } = await stat(layout.dataDir);
    if (uid === 0 && !(had & 0o001)) await chmod(layout.dataDir, (had & 0o7777) | 0o011);
  } catch (error) {
    throw new CapeError(
      'config',
      `cannot make the data folder ${layout.home} (${messageOf(error)}): set CAPE_DATA_DIR to a folder that can be written`,
      { cause: error },
    );
  }
  for (const folder of upTo(layout.home, '/')) await assertEnterable(folder, owner);
}

async function assertEnterable(folder: string, owner: Owner): Promise<void> {
  const { mode, uid, gid } = await stat(folder);
  const bit = uid === owner.uid ? 0o100 : gid === owner.gid ? 0o010 : 0o001;
  if (mode & bit) return;
  const shown = (mode & 0o777).toString(8).padStart(4, '0');
  throw new CapeError(
    'config',
    `user ${owner.name}, under which Postgres runs here, cannot enter ${folder} (mode ${shown}): set CAPE_DATA_DIR to a folder that it can enter, such as /var/lib/cape-worker`,
  );
}

/** `folder` and its parents up to and with `top`, innermost first. */
function upTo(folder: string, top: string): string[] {
  return folder === top || folder === dirname(folder) ? [folder] : [folder, ...upTo(dirname(folder), top)];
}

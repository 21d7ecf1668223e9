/** The env file of a service on disk: settings and secrets, read by its worker and by nobody else. */
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsyncSync,
  lstatSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { parse } from 'dotenv';
import { CapeError } from '../core/errors.js';
import { oneLine } from '../core/text.js';
import { makeFolder } from '../folders.js';
import { actAs, actorFor } from './trusted-folder.js';

export interface EnvFile {
  /** Null where there is no file. */
  readonly text: string | null;
  readonly values: Readonly<Record<string, string>>;
  /** Permission bits and owner; null where there is no file. */
  readonly mode: number | null;
  readonly uid: number | null;
}

const NONE: EnvFile = { text: null, values: {}, mode: null, uid: null };

/**
 * Reads an env file. As root below another user's folder with that user's rights: a link there to a file that only root
 * can read would else end up, line by line, in a file of the user's.
 * @param path absolute
 * @throws CapeError `config` for one that can't be read, is a link or no file
 */
export function readEnvFile(path: string): EnvFile {
  return attempt(path, 'read', () =>
    actAs(actorFor(dirname(path)), () => {
      // NONBLOCK: opening a pipe would wait for a writer.
      const file = openIfThere(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
      if (file === null) return NONE;
      try {
        const stats = fstatSync(file);
        if (!stats.isFile()) throw new CapeError('config', `${oneLine(path)}: is no file`);
        const text = readFileSync(file, 'utf8');
        return { text, values: parse(text), mode: stats.mode & 0o7777, uid: stats.uid };
      } finally {
        closeSync(file);
      }
    }),
  );
}

/** Whose the file is to be, and what its folder is like where that has to be made. */
export interface EnvFileOwner {
  readonly uid: number;
  readonly gid: number;
  /** Mode of the folder where it is made; default 0700. */
  readonly folderMode?: number;
}

/**
 * Writes an env file whole: nobody ever sees half of it, or another owner or mode than 0600 and the one given, and a crash
 * leaves the old one or the new one.
 * @param path absolute
 * @throws CapeError `config` or `refused` where it can't be written, or must not be
 */
export function writeEnvFile(path: string, text: string, { uid, gid, folderMode = 0o700 }: EnvFileOwner): void {
  const folder = dirname(path);
  attempt(path, 'written', () => {
    const actor = actorFor(folder);
    if (actor.kind === 'owner' && actor.uid !== uid) {
      throw new CapeError(
        'refused',
        `${oneLine(path)}: its folder belongs to user ${actor.uid}, and the worker runs as user ${uid}; choose another place`,
      );
    }
    actAs(actor, () => {
      makeEnvFolder(folder, folderMode);
      refuseLink(path);
      replace(path, text, uid, gid);
    });
  });
}

/**
 * Removes an env file. One that is not there is fine.
 * @throws CapeError where it can't be removed
 */
export function removeEnvFile(path: string): void {
  attempt(path, 'removed', () => {
    if (lstatSync(path, { throwIfNoEntry: false }) === undefined) return;
    actAs(actorFor(dirname(path)), () => rmSync(path, { force: true }));
  });
}

/** The umask may not make the folder narrower: the worker's account has to pass. */
function makeEnvFolder(folder: string, mode: number): void {
  if (makeFolder(folder, mode) !== undefined) chmodSync(folder, mode);
}

/** It would be replaced, and what it leads to stay as it was. */
function refuseLink(path: string): void {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats === undefined || stats.isFile()) return;
  const what = stats.isSymbolicLink() ? 'is a link; name the file that it leads to' : 'is no file';
  throw new CapeError('config', `${oneLine(path)}: ${what}`);
}

function replace(path: string, text: string, uid: number, gid: number): void {
  const draft = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}`);
  const file = openSync(draft, 'wx', 0o600);
  try {
    try {
      const made = fstatSync(file);
      if (made.uid !== uid || made.gid !== gid) fchownSync(file, uid, gid);
      fchmodSync(file, 0o600); // behind chown, and whatever the umask took
      writeFileSync(file, text);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(draft, path);
  } catch (error) {
    rmSync(draft, { force: true });
    throw error;
  }
  syncFolder(dirname(path));
}

/** Without it the new name may be gone after a power cut. */
function syncFolder(folder: string): void {
  const file = openSync(folder, 'r');
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

function openIfThere(path: string, flags: number): number | null {
  try {
    return openSync(path, flags);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return null;
    if (code === 'ELOOP') throw new CapeError('config', `${oneLine(path)}: is a link; name the file that it leads to`);
    throw error;
  }
}

function attempt<T>(path: string, what: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (error instanceof CapeError || code === undefined) throw error;
    throw new CapeError('config', `${oneLine(path)}: can't be ${what} (${code})`, { cause: error });
  }
}

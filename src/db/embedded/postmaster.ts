/** What `postmaster.pid` and the process table say about the server of a cluster. */

import { access, link, readFile, readlink, realpath, rename, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { execa } from 'execa';
import { CapeError } from '../../core/errors.js';
import { freshName } from './data-dir.js';
import { whenMissing } from './files.js';

/** What the server of a cluster is doing; `absent`: there is no cluster. */
export type ServerState = 'absent' | 'stopped' | 'starting' | 'running' | 'stopping';

/** A server as its own file describes it. All but the state are null where none runs. */
export interface Postmaster {
  state: ServerState;
  pid: number | null;
  port: number | null;
  /** Tells it from every other server of the cluster, earlier ones with the same pid too. */
  id: string | null;
}

/** What a server wrote of itself: line 1 is the pid, 3 the start time, 4 the port, 8 the status. */
interface PidFile {
  text: string;
  pid: number;
  id: string;
  port: number | null;
  status: string;
}

/** Looks at the server of a cluster. A pid file that no live server stands behind counts as stopped. */
export async function inspect(cluster: string): Promise<Postmaster> {
  const none = { pid: null, port: null, id: null };
  const file = await readPidFile(cluster);
  if (!file) return { state: (await exists(join(cluster, 'PG_VERSION'))) ? 'stopped' : 'absent', ...none };
  if (!(await isServerOf(cluster, file.pid))) return { state: 'stopped', ...none };
  const { pid, port, id, status } = file;
  if (status === 'ready') return { state: 'running', pid, port, id };
  return { state: status === 'stopping' ? 'stopping' : 'starting', pid, port, id };
}

/**
 * Removes a pid file that would keep a new server from starting though its process is no server any more: a zombie
 * (the usual end of `kill -9` under a PID 1 that reaps late) or an unrelated process that got the pid.
 * A file whose process is simply gone is left for the new server, which checks the shared memory that it names.
 */
export async function removeBlockingPidFile(cluster: string): Promise<void> {
  const file = await readPidFile(cluster);
  if (!file || !isAlive(file.pid) || (await isServerOf(cluster, file.pid))) return;
  const path = join(cluster, 'postmaster.pid');
  const aside = freshName(path);
  // Between the look and the removal another process may have started a server: take the file, look again, give it back.
  await rename(path, aside).catch(whenMissing);
  const taken = await readFile(aside, 'utf8').catch(whenMissing);
  if (taken !== null && taken !== file.text) await link(aside, path);
  await rm(aside, { force: true });
}

async function readPidFile(cluster: string): Promise<PidFile | null> {
  const text = await readFile(join(cluster, 'postmaster.pid'), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EACCES') return whenMissing(error);
    throw new CapeError('config', `${cluster} belongs to another user: run as that user, or set CAPE_DATA_DIR`);
  });
  if (text === null) return null;
  const lines = text.split('\n').map((line) => line.trim());
  const pid = Number(lines[0]);
  if (!pid) return null;
  return { text, pid, id: `${pid} ${lines[2]}`, port: Number(lines[3]) || null, status: lines[7] ?? '' };
}

/** Whether a process has this pid, as a zombie too. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'; // there, but another user's
  }
}

async function isServerOf(cluster: string, pid: number): Promise<boolean> {
  if (!isAlive(pid)) return false;
  const { zombie, command } = await look(pid);
  if (zombie) return false;
  // A server works in its data folder: the one sure sign. Without the right to look (root without SYS_PTRACE,
  // macOS) the name has to do. Start times are no help, since steps of the clock move them.
  const folder = await readlink(`/proc/${pid}/cwd`).catch(() => null);
  return folder === null ? command === 'postgres' : folder === (await realpath(cluster));
}

async function look(pid: number): Promise<{ zombie: boolean; command: string }> {
  if (process.platform === 'linux') {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
    const [, command = '', state] = /\((.*)\) (\S)/s.exec(stat) ?? [];
    return { zombie: state === 'Z', command };
  }
  // Says nothing and exits 1 where the process has ended since.
  const { stdout } = await execa('ps', ['-o', 'stat=,comm=', '-p', String(pid)], { reject: false });
  const [state = '', ...command] = stdout.trim().split(/\s+/);
  return { zombie: state.startsWith('Z'), command: basename(command.join(' ')) };
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

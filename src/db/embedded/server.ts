/** Starting and stopping the server of a cluster. */

import type { ChildProcess } from 'node:child_process';
import { open, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CapeError } from '../../core/errors.js';
import type { Layout } from './data-dir.js';
import { whenMissing } from './files.js';
import type { Owner } from './owner.js';
import { choosePort } from './port.js';
import { inspect, removeBlockingPidFile } from './postmaster.js';
import { type Programs, reasonOf, spawnProgram } from './process.js';
import { serviceOf } from './run-by-service.js';

/** How often its file is looked at. A warm start takes 40 to 130 ms, a stop 25 ms. */
const STEP_MS = 10;
const STOP_DEADLINE_MS = 60_000;

/**
 * Settings on the command line and not in postgresql.conf, so that they are those of this version of the program.
 * No socket: its path may not exceed 107 bytes, and the paths of data folders do.
 */
const SETTINGS = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  max_connections: '200',
  // Files in the cluster: systemd removes a user's /dev/shm segments at logout, under a server that outlives the
  // session, and a container's /dev/shm is small.
  dynamic_shared_memory_type: 'mmap',
  logging_collector: 'on',
  log_directory: 'log',
  // A file per weekday, overwritten a week later: bounded without a clean-up of ours.
  log_filename: 'postgres-%a.log',
  log_rotation_age: '1d',
  log_truncate_on_rotation: 'on',
};

/** What `postgres` is told on its command line, `name=value` each. */
export function serverSettings(port: number): string[] {
  return Object.entries({ ...SETTINGS, port }).map(([name, value]) => `${name}=${value}`);
}

/**
 * Starts the server of a stopped cluster and waits until it is ready, which after a crash may take minutes.
 * @returns Null once it is ready, or why it ended before. Where another process started one first that is no failure.
 */
export async function launch(layout: Layout, programs: Programs, owner: Owner | null): Promise<string | null> {
  await removeBlockingPidFile(layout.cluster);
  const port = await choosePort(layout);
  const settings = serverSettings(port).flatMap((setting) => ['-c', setting]);
  const child = spawnProgram(programs, 'postgres', ['-D', layout.cluster, ...settings], {
    owner,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const end = endOf(child);
  while (end.stderr === null) {
    const { state, pid } = await inspect(layout.cluster);
    if (state === 'running' && pid === child.pid) {
      child.stderr?.destroy(); // since it is ready it writes to its own log
      child.unref();
      return null;
    }
    await sleep(STEP_MS);
  }
  // Late failures, such as a broken cluster, are told to the log only.
  return reasonOf(`${await logTail(layout)}\n${end.stderr}`);
}

/** All of a child's stderr, as soon as it has ended; null before. */
function endOf(child: ChildProcess): { stderr: string | null } {
  const end: { stderr: string | null } = { stderr: null };
  let stderr = '';
  child.stderr?.on('data', (chunk) => {
    stderr += chunk;
  });
  child.on('error', (error) => {
    end.stderr = error.message;
  });
  child.on('close', () => {
    end.stderr = stderr;
  });
  return end;
}

/** The end of the log that was written last. */
async function logTail(layout: Layout): Promise<string> {
  const folder = join(layout.cluster, SETTINGS.log_directory);
  const names = (await readdir(folder).catch(whenMissing)) ?? [];
  const logs = await Promise.all(names.map((name) => readLog(join(folder, name))));
  return logs.sort((a, b) => b.changed - a.changed)[0]?.tail ?? '';
}

async function readLog(path: string): Promise<{ changed: number; tail: string }> {
  const file = await open(path);
  try {
    const { mtimeMs, size } = await file.stat();
    const { buffer, bytesRead } = await file.read({ buffer: Buffer.alloc(4096), position: Math.max(0, size - 4096) });
    return { changed: mtimeMs, tail: buffer.toString('utf8', 0, bytesRead) };
  } finally {
    await file.close();
  }
}

/**
 * Stops the server whatever is connected to it, and waits until it is gone. A server that is stopping is waited for.
 * @param signal SIGINT ends the sessions and writes everything down; SIGQUIT does not wait, and the next start recovers.
 * @returns False where none was running.
 * @throws CapeError database where it does not end within a minute or is not ours to stop.
 */
export async function stopServer(cluster: string, signal: 'SIGINT' | 'SIGQUIT' = 'SIGINT'): Promise<boolean> {
  const { pid } = await inspect(cluster);
  if (pid === null) return false;
  try {
    process.kill(pid, signal); // never SIGTERM, which waits for the clients to go
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ESRCH') throw new CapeError('database', `cannot stop the server of ${cluster} (pid ${pid}): ${code}`);
  }
  const deadline = performance.now() + STOP_DEADLINE_MS;
  while ((await inspect(cluster)).pid === pid) {
    if (performance.now() > deadline) {
      throw new CapeError('database', `the server of ${cluster} (pid ${pid}) did not stop within 60 s of ${signal}`);
    }
    await sleep(STEP_MS);
  }
  return true;
}

/** Marks the running server as one that stays when its last user leaves; a later server of the cluster does not. */
export async function keepRunning(layout: Layout): Promise<void> {
  const { id } = await inspect(layout.cluster);
  if (id) await writeFile(layout.kept, id);
}

/** Whether the running server is to stay when its last user leaves. */
export async function isKept(layout: Layout): Promise<boolean> {
  if ((await serviceOf(layout)) !== null) return true;
  const kept = await readFile(layout.kept, 'utf8').catch(whenMissing);
  return kept !== null && kept === (await inspect(layout.cluster)).id;
}

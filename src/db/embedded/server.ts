/** Starting, finding and stopping the server of a cluster. */

import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { CapeError } from '../../core/errors.js';
import type { Layout } from './data-dir.js';
import type { Owner } from './owner.js';
import { inspect, removeBlockingPidFile } from './postmaster.js';
import { type Programs, reasonOf, spawnProgram } from './process.js';

/** A warm start takes 0.04 to 0.13 s; recovery after a crash may take long. */
const STEP_MS = 10;
const STOP_DEADLINE_MS = 60_000;

/**
 * Settings on the command line and not in postgresql.conf, so that they are those of this version of the program.
 * No socket: its path may not exceed 107 bytes, and data folders do.
 */
const SETTINGS = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  max_connections: '200',
  logging_collector: 'on',
  log_directory: 'log',
  // One file a weekday, overwritten a week later: bounded without a clean-up of ours.
  log_filename: 'postgres-%a.log',
  log_rotation_age: '1d',
  log_truncate_on_rotation: 'on',
};

/**
 * Starts the server of a stopped cluster and waits until it is ready.
 * @returns Null once it is ready, or why it ended before: where another process started it first that is no failure.
 */
export async function launch(layout: Layout, programs: Programs, owner: Owner | null): Promise<string | null> {
  await removeBlockingPidFile(layout.cluster);
  const port = await choosePort(layout);
  const settings = Object.entries({ ...SETTINGS, port }).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const child = spawnProgram(programs, 'postgres', ['-D', layout.cluster, ...settings], {
    owner,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let stderr = '';
  let ended = false;
  child.stderr?.on('data', (chunk) => {
    stderr += chunk;
  });
  child.on('error', (error) => {
    stderr += error.message;
    ended = true;
  });
  child.on('close', () => {
    ended = true;
  });
  while (!ended) {
    const { state, pid } = await inspect(layout.cluster);
    if (pid === child.pid && state === 'running') {
      child.stderr?.destroy(); // since it is ready it writes to its own log
      child.unref();
      return null;
    }
    await sleep(STEP_MS);
  }
  return reasonOf(stderr);
}

/** The port of the last time, or a free one where that is taken or there was none. */
async function choosePort(layout: Layout): Promise<number> {
  const kept = Number(await readFile(layout.port, 'utf8').catch(() => '')) || 0;
  const port = (await freePort(kept)) ?? (await freePort(0));
  if (port === null) throw new CapeError('database', 'no free TCP port on 127.0.0.1 for the embedded Postgres');
  if (port !== kept) await writeFile(layout.port, `${port}\n`);
  return port;
}

/** `port` if it is free on 127.0.0.1, any free one for 0; null if it is taken. */
async function freePort(port: number): Promise<number | null> {
  const probe = createServer().listen(port, '127.0.0.1');
  try {
    await once(probe, 'listening');
  } catch {
    return null;
  }
  const address = probe.address();
  probe.close();
  await once(probe, 'close');
  return typeof address === 'object' && address ? address.port : null;
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
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') {
      throw new CapeError(
        'database',
        `the server of ${cluster} (pid ${pid}) belongs to another user: stop it as that user`,
      );
    }
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

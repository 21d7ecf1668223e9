/** Processes of their own that use the embedded Postgres, and folders for its data. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { stopEmbedded } from '../../src/db/embedded/index.js';

const PROGRAM = fileURLToPath(new URL('../fixtures/embedded-user.mjs', import.meta.url));

/** The account without rights that every system has; tests that need it run as root only. */
export const NOBODY = 65_534;
export const isRoot = process.getuid?.() === 0;

/** What the process said once it was in. */
export interface Said {
  url?: string;
  note?: string | null;
  pid?: number;
  error?: string;
}

export interface EmbeddedUser {
  readonly said: Said;
  readonly child: ChildProcess;
  /** Has it leave and waits for its end. */
  leave(): Promise<void>;
}

/** Starts a process that uses the server of `dataDir`, under another uid if one is given. */
export async function useEmbedded(dataDir: string, { uid, env }: { uid?: number; env?: NodeJS.ProcessEnv } = {}) {
  const child = spawn(process.execPath, [PROGRAM, dataDir], {
    cwd: '/',
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, ...env },
    ...(uid !== undefined && { uid, gid: uid }),
  });
  const ended = once(child, 'exit');
  const [line] = await Promise.race([
    once(createInterface(child.stdout), 'line'),
    ended.then(([code]) => Promise.reject(new Error(`ended with ${code} before it said a line`))),
  ]);
  const leave = async () => {
    child.stdin.end();
    await ended;
  };
  return { said: JSON.parse(line) as Said, child, leave } satisfies EmbeddedUser;
}

const folders: string[] = [];

/** A new folder that every user can enter, as the parent of a data folder. */
export async function scratchFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'cape-embedded-'));
  await chmod(folder, 0o755);
  folders.push(folder);
  return folder;
}

/** Stops the servers of these data folders, whatever the tests left, and removes the scratch folders. */
export async function cleanUp(...dataDirs: string[]): Promise<void> {
  for (const dataDir of dataDirs) await stopEmbedded({ dataDir }, true);
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
}

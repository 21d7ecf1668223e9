/** Starting the programs of Postgres: under the right uid, with an environment built from nothing. */

import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import { execa } from 'execa';
import type { Owner } from './owner.js';

/** How to run the programs of one set of binaries. */
export interface Programs {
  /** The folder with `postgres` and `initdb`. */
  bin: string;
  /** Folders for the dynamic linker; empty for a system's own binaries. */
  libraries: readonly string[];
}

/**
 * Spawns one program of Postgres in a session of its own.
 * The environment is built from nothing: what a worker puts into the environment of an attempt marks its processes,
 * and the sweep of that attempt would end the server; PGDATA, PGPORT and their like would redirect it.
 */
export function spawnProgram(
  { bin, libraries }: Programs,
  program: 'postgres' | 'initdb',
  args: readonly string[],
  { owner, stdio }: { owner: Owner | null; stdio: StdioOptions },
): ChildProcess {
  return spawn(`${bin}/${program}`, args, { ...surroundings(libraries, owner), stdio });
}

function surroundings(libraries: readonly string[], owner: Owner | null) {
  const linker = process.platform === 'darwin' ? 'DYLD_LIBRARY_PATH' : 'LD_LIBRARY_PATH';
  return {
    cwd: '/',
    detached: true, // Ctrl-C in the terminal goes to the whole foreground group: a server there would go with us
    env: {
      PATH: '/usr/local/bin:/usr/bin:/bin',
      LANG: 'C',
      TZ: 'UTC',
      ...(libraries.length > 0 && { [linker]: libraries.join(':') }),
    },
    ...(owner && { uid: owner.uid, gid: owner.gid }),
  };
}

/** What a program that ran to its end left. */
export interface Ended {
  /** The exit code; null where it never ran or died of a signal. */
  code: number | null;
  stdout: string;
  /** Standard error, or the reason why it never ran. */
  stderr: string;
}

/** Runs a program of Postgres to its end; `input` is all of its standard input. Never throws. */
export async function runProgram(
  { bin, libraries }: Programs,
  program: 'postgres' | 'initdb',
  args: readonly string[],
  { owner, input = '' }: { owner: Owner | null; input?: string },
): Promise<Ended> {
  const options = { ...surroundings(libraries, owner), extendEnv: false, input, reject: false } as const;
  const { exitCode, stdout, stderr, shortMessage } = await execa(`${bin}/${program}`, args, options);
  return { code: exitCode ?? null, stdout, stderr: stderr || (exitCode === 0 ? '' : (shortMessage ?? '')) };
}

/** The line of a program's stderr that says why it ended: the last FATAL or error, else the last line. */
export function reasonOf(stderr: string): string {
  const lines = stderr.split('\n').filter((line) => line.trim() !== '');
  const telling = lines.findLast((line) => /FATAL|PANIC|error:/.test(line));
  return (telling ?? lines.at(-1) ?? 'no output').trim();
}

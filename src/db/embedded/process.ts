/** Starting the programs of Postgres: under the right uid, with an environment built from nothing. */

import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
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
  const linker = process.platform === 'darwin' ? 'DYLD_LIBRARY_PATH' : 'LD_LIBRARY_PATH';
  return spawn(`${bin}/${program}`, args, {
    cwd: '/',
    detached: true, // Ctrl-C in the terminal goes to the whole foreground group: a server there would go with us
    env: {
      PATH: '/usr/local/bin:/usr/bin:/bin',
      LANG: 'C',
      TZ: 'UTC',
      ...(libraries.length > 0 && { [linker]: libraries.join(':') }),
    },
    stdio,
    ...(owner && { uid: owner.uid, gid: owner.gid }),
  });
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
export function runProgram(
  programs: Programs,
  program: 'postgres' | 'initdb',
  args: readonly string[],
  { owner, input = '' }: { owner: Owner | null; input?: string },
): Promise<Ended> {
  return new Promise((done) => {
    const child = spawnProgram(programs, program, args, { owner, stdio: 'pipe' });
    let stdout = '';
    let stderr = '';
    child.stdout?.on('data', (chunk) => {
      stdout += chunk;
    });
    child.stderr?.on('data', (chunk) => {
      stderr += chunk;
    });
    child.on('error', (error) => done({ code: null, stdout, stderr: error.message }));
    child.on('close', (code) => done({ code, stdout, stderr }));
    child.stdin?.on('error', () => {}); // it may end without reading: its exit code tells
    child.stdin?.end(input);
  });
}

/** The line of a program's stderr that says why it ended: the last FATAL or error, else the last line. */
export function reasonOf(stderr: string): string {
  const lines = stderr.split('\n').filter((line) => line.trim() !== '');
  const telling = lines.findLast((line) => /FATAL|PANIC|error:/.test(line));
  return (telling ?? lines.at(-1) ?? 'no output').trim();
}

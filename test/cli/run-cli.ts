/** Runs the built program as people do: a process of its own, in a folder of its own, with the environment given. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll } from 'vitest';

export const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Standard input; default none. */
  readonly input?: string | Buffer;
}

/** A process that runs: `output()` is what it has printed so far. */
export interface Running {
  readonly process: ChildProcess;
  output(): { stdout: string; stderr: string };
  readonly ended: Promise<Ended>;
}

/** Starts the program. Nothing of this process's environment reaches it but PATH. */
export function start(args: readonly string[], options: RunOptions = {}): Running {
  const cwd = options.cwd ?? emptyFolder();
  const env = { PATH: process.env.PATH ?? '', HOME: cwd, ...options.env };
  // As the program's first lines do it, but with this Node.
  const child = spawn(process.execPath, ['--', MAIN, ...args], { cwd, env, stdio: ['pipe', 'pipe', 'pipe'] });
  const got = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    got.stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    got.stderr += text;
  });
  // A program that refuses its arguments never reads its input.
  child.stdin.on('error', () => {}).end(options.input ?? '');
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal, ...got }));
  });
  return { process: child, output: () => ({ ...got }), ended };
}

/** Runs the program to its end. */
export function cli(args: readonly string[], options: RunOptions = {}): Promise<Ended> {
  return start(args, options).ended;
}

const folders: string[] = [];

/** A new folder with nothing in it, and nothing in its parent either: a .env would be found there. */
export function emptyFolder(): string {
  const parent = realpathSync(mkdtempSync(join(tmpdir(), 'cape cli ')));
  folders.push(parent);
  const folder = join(parent, 'work');
  mkdirSync(folder);
  return folder;
}

afterAll(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

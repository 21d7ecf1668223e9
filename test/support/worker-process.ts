/** Workers as users start them: real processes of the built program. */
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach } from 'vitest';
import { until } from './until.js';

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

export interface WorkerProcess {
  readonly child: ChildProcess;
  readonly pid: number;
  /** What it has printed. */
  output(): string;
  /** Resolves with its exit code, or the signal that ended it. */
  readonly exited: Promise<number | string>;
}

const started: WorkerProcess[] = [];

afterEach(async () => {
  for (const each of started.splice(0)) {
    each.child.kill('SIGCONT');
    each.child.kill('SIGKILL');
    await each.exited;
  }
});

export interface WorkerProcessOptions {
  readonly id: string;
  readonly databaseUrl: string;
  readonly cwd: string;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** Starts `cape-worker run` with an environment of its own, and waits until it is ready. */
export async function startWorkerProcess({
  id,
  databaseUrl,
  cwd,
  args = [],
  env = {},
}: WorkerProcessOptions): Promise<WorkerProcess> {
  const child = spawn(process.execPath, [main, '--worker-id', id, '--log-dir', join(cwd, `logs ${id}`), ...args], {
    cwd,
    env: { PATH: process.env.PATH, HOME: cwd, DATABASE_URL: databaseUrl, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  const exited = new Promise<number | string>((done) =>
    child.on('exit', (code, signal) => done(code ?? signal ?? 'unknown')),
  );
  const worker = { child, pid: child.pid!, output: () => text, exited };
  started.push(worker);
  await until(() => text.includes('is ready') || child.exitCode !== null, {
    timeoutMs: 20_000,
    what: `worker ${id} to be ready: ${text}`,
  });
  if (child.exitCode !== null) throw new Error(`worker ${id} left with ${child.exitCode}: ${text}`);
  return worker;
}

/** One worker, its database, its network and its issue, for tests of stopping; and what must hold when it has stopped. */
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Issue } from '../../src/core/issue.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { type HoldingProxy, startHoldingProxy } from '../support/holding-proxy.js';
import { issuesOf } from '../support/issues.js';
import { startProxy, type TcpProxy } from '../support/proxy.js';
import { until } from '../support/until.js';
import { startWorker, tempFolder } from '../support/worker.js';

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const COMMAND = `'${fileURLToPath(new URL('../fixtures/interruptible.sh', import.meta.url))}'`;

export const GRACE_MS = 1000;
/** Signals closer together than half a second are one. */
export const NEXT_SIGNAL_MS = 550;
const PATIENT = { timeoutMs: 30_000 };

export interface Stage {
  readonly t: TestDatabase;
  /** What the worker hears and says, statement by statement. */
  readonly talk: HoldingProxy;
  /** Behind it, what fails as networks do. */
  readonly network: TcpProxy;
  readonly issues: ReturnType<typeof issuesOf>;
  /** The network works again. */
  heal(): void;
  /** Starts the worker; does not wait for anything. */
  start(...args: string[]): void;
  /** Waits until the worker has said this. */
  said(words: string): Promise<unknown>;
  output(): string;
  /** Sends a signal, if the worker is still there. */
  signal(name: NodeJS.Signals): void;
  /** Its exit code, or the signal that ended it, once it has ended. */
  ended(): number | string | null;
  /** Resolves at its end with the milliseconds since `sinceMs`; rejects after `limitMs`. */
  exit(sinceMs: number, limitMs: number): Promise<number>;
  /** How often the ledger has a line that begins so. */
  count(word: 'start' | 'end' | 'overlap'): number;
  /** Pids of everything that belongs to this stage: the worker's helpers and the commands. */
  processes(): number[];
  /** A second worker makes the tables where there are none, and takes the issue up: resolves with its end. */
  finish(id: number): Promise<Issue>;
  close(): Promise<void>;
}

export async function openStage({ empty = false } = {}): Promise<Stage> {
  const t = await createTestDatabase({ empty });
  const network = await startProxy(t.url);
  const talk = await startHoldingProxy(network.url(t.url));
  const cwd = tempFolder('cape stop ');
  const ledger = join(cwd, 'ledger');
  writeFileSync(ledger, '');
  const issues = issuesOf(t.sql);
  const worker = makeWorker(cwd, ledger, talk.url(t.url));
  return {
    t,
    talk,
    network,
    issues,
    ...worker,
    heal() {
      network.mode = 'pass';
    },
    count: (word) => readFileSync(ledger, 'utf8').match(new RegExp(`^${word} .*\n`, 'gm'))?.length ?? 0,
    processes: () => processesNaming(cwd),
    finish: (id) =>
      finish(t.url, ledger, async () => issues.ended(empty ? await issues.add('quick') : id, 60_000), empty),
    async close() {
      await worker.kill();
      await Promise.all([talk.close(), network.close(), t.close()]);
    },
  };
}

function makeWorker(cwd: string, ledger: string, databaseUrl: string) {
  let child: ReturnType<typeof spawn> | undefined;
  let text = '';
  let end: number | string | null = null;
  const said = (words: string) =>
    until(() => text.includes(words) || end !== null, { ...PATIENT, what: `the worker to say "${words}": ${text}` });
  return {
    start(...args: string[]) {
      const options = ['--worker-id', 'stopped', '--pass-env', 'LEDGER', '--log-dir', join(cwd, 'logs')];
      const times = ['--grace', '1s', '--lease', '20s', '--retry-base', '0s'];
      child = spawn(process.execPath, [MAIN, ...options, ...times, ...args], {
        cwd,
        env: { PATH: process.env.PATH, HOME: cwd, DATABASE_URL: databaseUrl, LEDGER: ledger, CAPE_COMMAND: COMMAND },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      for (const stream of [child.stdout!, child.stderr!])
        stream.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      child.on('exit', (code, signal) => {
        end = code ?? signal ?? 'unknown';
      });
    },
    said,
    output: () => text,
    signal: (name: NodeJS.Signals) => void (end === null && child?.kill(name)),
    ended: () => end,
    async exit(sinceMs: number, limitMs: number) {
      await until(() => end !== null, { timeoutMs: limitMs, what: `the worker to leave: ${text}` });
      return performance.now() - sinceMs;
    },
    async kill() {
      if (!child || end !== null) return;
      child.kill('SIGKILL');
      await until(() => end !== null);
    },
  };
}

async function finish(
  databaseUrl: string,
  ledger: string,
  ended: () => Promise<Issue>,
  migrate: boolean,
): Promise<Issue> {
  const successor = startWorker({
    databaseUrl,
    migrate,
    workerId: 'successor',
    command: COMMAND,
    passEnv: 'LEDGER',
    environment: { PATH: process.env.PATH, LEDGER: ledger },
  });
  await until(() => successor.lines.some((line) => line.includes('is ready')), PATIENT);
  const row = await ended().catch((error: Error) => {
    throw new Error(`${error.message}; the second worker said:\n${successor.lines.join('\n')}`);
  });
  await successor.stop();
  return row;
}

/** The keeper and the warden name the worker's folder in their arguments, commands have it in their environment. */
function processesNaming(folder: string): number[] {
  const names = (pid: string, file: string) => {
    try {
      return readFileSync(`/proc/${pid}/${file}`, 'latin1').includes(folder);
    } catch {
      return false; // gone meanwhile
    }
  };
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid);
  return pids.filter((pid) => names(pid, 'cmdline') || names(pid, 'environ')).map(Number);
}

/** A contender's process, from its start to its end. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Told } from './line.js';

/** What hangs is ended, and the run goes on with the next line. */
const LIMIT_MS = 600_000;
const KEPT_STDERR = 4000;

export interface Start {
  readonly node: string;
  readonly file: string;
  readonly job: object;
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
  /** Called when it is ready, before it is told to begin. */
  prepare(): Promise<void>;
  /** CPU seconds that the database server has used so far. */
  serverCpu(): number;
}

/** @throws Error with the end of its stderr where it fails, and where `signal` is aborted */
export async function runContender(start: Start): Promise<Told> {
  const { node, file, job, cwd, env, signal } = start;
  signal.throwIfAborted();
  // In a group of its own: with a Ctrl-C it is ended by us, and whatever it has started with it.
  const child = spawn(node, [file, JSON.stringify(job)], { cwd, env, detached: true, stdio: 'pipe' });
  const kill = () => endGroup(child.pid);
  const limit = setTimeout(kill, LIMIT_MS);
  signal.addEventListener('abort', kill);
  const ended = new Promise<string | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, how) => resolve(code === 0 ? null : `ended with ${code ?? how}`));
  });
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors = (errors + text).slice(-KEPT_STDERR);
  });
  child.stdin.on('error', () => {}); // its end is told by `close`
  let last = '';
  let [from, until] = [start.serverCpu(), 0];
  createInterface({ input: child.stdout }).on('line', (line) => {
    last = line;
    until = start.serverCpu();
    if (line === 'ready') {
      const begin = () => {
        from = start.serverCpu();
        child.stdin.write('begin\n');
      };
      start.prepare().then(begin, kill);
    }
  });
  try {
    const failure = await ended;
    signal.throwIfAborted();
    if (failure !== null) throw new Error(`${file} ${failure}: ${errors.trim() || 'it said nothing'}`);
    return { ...parse(file, last), serverCpuSeconds: until - from };
  } finally {
    clearTimeout(limit);
    signal.removeEventListener('abort', kill);
    endGroup(child.pid);
  }
}

function parse(file: string, line: string): { said: Record<string, number>; cpuSeconds: number } {
  try {
    const { cpuSeconds = Number.NaN, ...said } = JSON.parse(line) as Record<string, number>;
    return { said, cpuSeconds };
  } catch {
    throw new Error(`${file}: its last line is no JSON: ${line.slice(0, 200)}`);
  }
}

function endGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {} // nothing of it is left
}

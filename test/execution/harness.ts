/** Real commands in real process trees, for the tests of this folder. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { after, now } from '../../src/execution/clock.js';
import { createExecutor, type KeepersOptions } from '../../src/execution/keepers.js';
import { identify, isAlive } from '../../src/execution/processes.js';
import type { CommandSpec, Deadline, Executor, ProcessIdentity, Run } from '../../src/execution/spec.js';

export const GRACE_MS = 500;
/** Processes of exec-tree.sh. */
export const TREE = 6;
export const PATH = '/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin';

export interface Bench {
  /** A folder for everything of the test, with a space in its path. */
  readonly dir: string;
  readonly executor: Executor;
  /** What was logged, a line each. */
  readonly logged: string[];
  start(file: string, args: readonly string[], changes?: Partial<CommandSpec>, until?: Deadline): Run;
  /** Runs `sh -c script` to its end. */
  sh(script: string, changes?: Partial<CommandSpec>): Run['ended'];
  /** What a run has printed so far. */
  output(id: string): string;
  close(): Promise<void>;
}

export function fixture(name: string): string {
  return fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url));
}

export function tempDir(): string {
  return mkdtempSync(join(tmpdir(), 'cape exec-'));
}

export function specOf(dir: string, id: string, file: string, args: readonly string[]): CommandSpec {
  return {
    id,
    token: `token-${process.pid}-${id}`,
    file,
    args,
    env: { PATH },
    cwd: dir,
    timeoutMs: 20_000,
    idleTimeoutMs: 0,
    graceMs: GRACE_MS,
    logPath: join(dir, `${id}.log`),
    logLimit: 1024 * 1024,
    tailBytes: 8192,
    exitCodes: { invalid: [64, 65, 78], snooze: [75] },
  };
}

/** A deadline that no test reaches. */
export function far(): Deadline {
  return after(now(), 600_000);
}

export function bench(options: Partial<KeepersOptions> = {}): Bench {
  const dir = tempDir();
  const logged: string[] = [];
  const keep = (line: string) => logged.push(line);
  const log = { error: keep, warn: keep, info: keep, debug: keep };
  const executor = createExecutor({ stateDir: dir, graceMs: GRACE_MS, log, ...options });
  let runs = 0;
  const start: Bench['start'] = (file, args, changes = {}, until = far()) =>
    executor.start({ ...specOf(dir, changes.id ?? `run-${++runs}`, file, args), ...changes }, until);
  return {
    dir,
    executor,
    logged,
    start,
    sh: (script, changes) => start('/bin/sh', ['-c', script], changes).ended,
    output: (id) => readLines(join(dir, `${id}.log`)).join('\n'),
    close: async () => {
      await executor.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** Waits for a condition; fails with its name when it does not come true in time. */
export async function eventually<Value>(
  what: string,
  check: () => Value | null | undefined | false,
  limitMs = 25_000,
): Promise<Value> {
  const limit = performance.now() + limitMs;
  for (;;) {
    const value = check();
    if (value !== null && value !== undefined && value !== false) return value;
    if (performance.now() > limit) throw new Error(`waited ${limitMs} ms in vain until ${what}`);
    await pause(20);
  }
}

/** The processes whose pids a fixture wrote into a file, a line each; waits until there are `count`. */
export async function processesIn(file: string, count: number): Promise<ProcessIdentity[]> {
  const pids = await eventually(`${file} names ${count} processes`, () => {
    const lines = readLines(file);
    return lines.length >= count && lines.map(Number);
  });
  return pids.map((pid) => {
    const identity = identify(pid);
    if (!identity) throw new Error(`process ${pid} has ended before the test began`);
    return identity;
  });
}

/** Waits until all are dead; returns after how many milliseconds. */
export async function allGone(processes: readonly ProcessIdentity[], limitMs: number): Promise<number> {
  const began = performance.now();
  await eventually(`${processes.map(({ pid }) => pid)} are gone`, () => !processes.some(isAlive), limitMs);
  return performance.now() - began;
}

function readLines(file: string): string[] {
  try {
    return readFileSync(file, 'utf8').split('\n').filter(Boolean);
  } catch {
    return [];
  }
}

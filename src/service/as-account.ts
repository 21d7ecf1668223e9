/** Doing something as the account that a service runs as: what root may do says nothing about it. */
import { dirname, isAbsolute } from 'node:path';
import type { Host } from './host.js';
import type { Account } from './spec.js';
import { runTool, type ToolAnswer } from './tool.js';

/** Runs a program as the account, with all its groups. Only root can do that for another one. */
export function runAs(account: Account, host: Host, file: string, args: readonly string[]): Promise<ToolAnswer> {
  const [tool, ...words] = [...prefix(account, host), file, ...args] as [string, ...string[]];
  // What root has in its environment, a password maybe, is not for the account to read in /proc.
  const { PATH } = host.environment;
  return runTool(tool, words, account.uid === host.uid ? { env: host.environment } : { env: { PATH }, bare: true });
}

function prefix({ name, uid }: Account, { platform, uid: own }: Host): string[] {
  if (uid === own) return [];
  // Node's own `uid` option would drop the account's further groups, by which it may have its rights.
  return platform === 'darwin' ? ['sudo', '-n', '-u', name, '--'] : ['runuser', '-u', name, '--'];
}

/** What is needed of a path. */
export type Need = 'read' | 'write' | 'enter' | 'run';

export interface Refusal {
  readonly path: string;
  readonly need: Need;
  /** The first folder on the way that is closed, or the path itself. */
  readonly blockedBy: string;
}

const TESTS: Readonly<Record<Need, string>> = { read: '-r', write: '-w', enter: '-x', run: '-x' };

/** Prints the numbers of the pairs (test, path) that fail. */
const SCRIPT = 'n=0; while [ $# -gt 0 ]; do test "$1" "$2" || echo "$n"; n=$((n+1)); shift 2; done';

/** Which of these the account can't have. Nothing is changed. */
export async function refusals(
  account: Account,
  host: Host,
  wants: readonly (readonly [path: string, need: Need])[],
): Promise<Refusal[]> {
  const steps = wants.flatMap(([path, need]) => [
    ...parentsOf(path).map((folder) => ({ path, need, test: '-x', at: folder })),
    { path, need, test: TESTS[need], at: path },
  ]);
  const words = steps.flatMap(({ test, at }) => [test, at]);
  const { stdout } = await runAs(account, host, '/bin/sh', ['-c', SCRIPT, 'sh', ...words]);
  const failed = stdout.split('\n').filter(Boolean).map(Number);
  const found = new Map<string, Refusal>();
  for (const { path, need, at } of failed.flatMap((index) => steps[index] ?? [])) {
    // The first of the way down: all behind it fail too.
    if (!found.has(`${need} ${path}`)) found.set(`${need} ${path}`, { path, need, blockedBy: at });
  }
  return [...found.values()];
}

/** From the top down, without the path itself. */
function parentsOf(path: string): string[] {
  const parent = dirname(path);
  return !isAbsolute(path) || parent === path ? [] : [...parentsOf(parent), parent];
}

/** Could the account work with what the service names? Looked at as that account, before anything is written. */
import { existsSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { CapeError } from '../core/errors.js';
import { oneLine } from '../core/text.js';
import { findCommand } from '../worker/find-command.js';
import { type Need, type Refusal, refusals } from './as-account.js';
import type { Host } from './host.js';
import type { Plan } from './plan.js';
import { doubtOf, type Program } from './program.js';
import { databaseProblem } from './worker-row.js';

/**
 * Makes sure that the worker could start, and tells what a person should know besides.
 * @param start false: it is not to be started yet, so its command may come later
 * @returns warnings
 * @throws CapeError `config` where it could not
 */
export async function preflight(
  plan: Plan,
  program: Program,
  host: Host,
  { start }: { readonly start: boolean },
): Promise<string[]> {
  const { spec, settings } = plan;
  if (!statSync(spec.workingDir, { throwIfNoEntry: false })?.isDirectory()) {
    throw new CapeError('config', `--working-dir: got "${oneLine(spec.workingDir)}", which is no folder`);
  }
  await refuseClosed(plan, host);
  return [
    ...[doubtOf(program)].filter((doubt) => doubt !== null),
    ...settings.warnings,
    ...(await commandDoubts(plan, host, start)),
    ...(await databaseDoubts(plan)),
  ];
}

/** What the message says to do, by what is closed. */
const REMEDIES: Readonly<Record<string, string>> = {
  program:
    'install the program where that user can read it (npm install -g, or a clone in that home), or choose --run-as',
  node: 'install a Node that every user can run (not below the home of another one), or choose --run-as',
  workingDir: 'choose --working-dir, or open it to that user',
  logDir: 'choose --log-dir, or give it to that user',
};

async function refuseClosed({ spec, account }: Plan, host: Host): Promise<void> {
  const logs = nearest(spec.logDir);
  const wants: [keyof typeof REMEDIES, string, Need][] = [
    ['node', spec.node, 'run'],
    ['program', spec.program, 'read'],
    ['workingDir', spec.workingDir, 'enter'],
    // A missing one is made and given to the account; so only what is there already can be closed to it.
    [...(logs === spec.logDir ? (['logDir', logs, 'write'] as const) : (['logDir', logs, 'enter'] as const))],
  ];
  const [refusal] = await refusals(
    account,
    host,
    wants.map(([, path, need]) => [path, need]),
  );
  if (!refusal) return;
  const [what] = wants.find(([, path, need]) => path === refusal.path && need === refusal.need) ?? ['program'];
  throw new CapeError('config', `${wordsFor(account.name, refusal)}; ${REMEDIES[what]}`);
}

const VERBS: Readonly<Record<Need, string>> = { read: 'read', write: 'write to', enter: 'enter', run: 'run' };

function wordsFor(user: string, { path, need, blockedBy }: Refusal): string {
  const why = blockedBy === path ? '' : `: ${oneLine(blockedBy)} is closed to that user`;
  return `the user ${oneLine(user)} can't ${VERBS[need]} ${oneLine(path)}${why}`;
}

/** The folder itself, or the nearest one above it that is there. */
export function nearest(path: string): string {
  return existsSync(path) || dirname(path) === path ? path : nearest(dirname(path));
}

/** Without its command a worker leaves at once; a service that is not started yet may be there before its agent. */
async function commandDoubts({ spec, account, settings }: Plan, host: Host, start: boolean): Promise<string[]> {
  try {
    const { command } = settings.config;
    const found = findCommand({ command, workingDir: spec.workingDir }, { PATH: spec.path });
    const [refusal] = await refusals(account, host, [[found.file, 'run']]);
    return refusal ? [`command: ${wordsFor(account.name, refusal)}`] : [];
  } catch (error) {
    if (!(error instanceof CapeError)) throw error;
    const found = `${error.message}; PATH of the service: ${spec.path}`;
    if (!start) return [found];
    throw new CapeError('config', `${found}; choose another by --command, or install without starting by --no-start`);
  }
}

/** A worker waits for its database; so does its service. */
async function databaseDoubts({ settings }: Plan): Promise<string[]> {
  const { databaseUrl, schema } = settings.config;
  const problem = databaseUrl === undefined ? null : await databaseProblem({ databaseUrl, schema });
  return problem === null ? [] : [`${problem} (the service will wait for it)`];
}

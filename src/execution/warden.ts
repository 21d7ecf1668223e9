/** Running warden.sh by ourselves: it ends what a vanished keeper left, and its exit is the proof. */
import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { groupAlive, hasProc, membersOf, stateOf } from './processes.js';
import type { HelperRecord, ProcessIdentity } from './spec.js';
import { carriesKeeper } from './sweep.js';

/** A file of the built program, from dist/cli as from dist/execution; the tests run from the source, without a keeper.cjs. */
export function builtFile(name: string): string {
  const dist = import.meta.url.endsWith('.ts') ? '../../dist' : '..';
  return fileURLToPath(new URL(`${dist}/execution/${name}`, import.meta.url));
}

/** Where the helpers' own tools are found, unless somebody says otherwise; the commands have a PATH of their own. */
export const TOOL_PATH = '/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin';

export const wardenScript = builtFile('warden.sh');

/** What the script must know. `controlGroup`: the folder of the control groups, believed: it is written into. */
export type Guarded = Pick<HelperRecord, 'token' | 'graceMs' | 'controlGroup'>;

/** As warden.sh wants them: the grace in steps of 0.2 s. @param keeper where it is to guard one that lives */
export function wardenArguments({ token, graceMs, controlGroup }: Guarded, keeper?: number): string[] {
  return [String(Math.ceil(graceMs / 200)), token, controlGroup ?? '', keeper === undefined ? '' : String(keeper)];
}

/**
 * Ends every group and process that the keeper started. Resolves to true when nothing of it is left.
 * The keeper and its warden must be dead: two who send TERM look like "now" to some programs.
 * @param groups that are ours for sure
 * @throws where the script can't be started
 */
export function runWarden(record: Guarded, groups: readonly number[], toolPath: string): Promise<boolean> {
  return new Promise((done, fail) => {
    const child = spawn('/bin/sh', [wardenScript, ...wardenArguments(record)], {
      detached: true, // or a Ctrl-C in the terminal would reach it
      stdio: ['pipe', 'ignore', 'ignore'],
      env: { PATH: toolPath },
      cwd: '/',
    });
    child.once('error', fail);
    child.once('exit', (code) => done(code === 0));
    child.stdin.on('error', () => {});
    child.stdin.end(groups.map((group) => `+ ${group}\n`).join(''));
  });
}

/** A full disk may leave half a line: half a number would name a stranger's group, no number the reader's own. */
const NOTE = /^(?:\+ (?<added>\d+) (?<start>.+)|- (?<removed>\d+))$/;

/** The groups in a file of notes that were not taken back. No file: the keeper left in peace and removed it. */
export async function notedGroups(groupsFile: string): Promise<ProcessIdentity[]> {
  const text = await readFile(groupsFile, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });
  const groups = new Map<number, string>();
  for (const line of text.split('\n')) {
    const { added, start = '', removed } = NOTE.exec(line)?.groups ?? {};
    if (Number(added) > 1) groups.set(Number(added), start);
    groups.delete(Number(removed));
  }
  return [...groups].map(([pid, start]) => ({ pid, start }));
}

/**
 * Whose group is it now? `ours` where the leader is the one noted, or is dead and a member carries the keeper's token;
 * `gone` where the group is empty or its number belongs to a later process; `unknown` where nobody can tell.
 */
export function ownerOf(group: ProcessIdentity, keeperToken: string): 'ours' | 'gone' | 'unknown' {
  const leader = stateOf(group.pid);
  // A number is not given again while it names a group, so a later process with it means that ours had emptied.
  if (leader && leader.start !== group.start) return 'gone';
  if (!groupAlive(group.pid)) return 'gone';
  if (leader) return 'ours';
  if (!hasProc) return 'unknown';
  return membersOf(group.pid).some(({ pid }) => carriesKeeper(pid, keeperToken)) ? 'ours' : 'unknown';
}

/** For a successor on the same machine: proof that a dead worker left nothing, made where it is not there yet. */
import { rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { messageOf } from '../core/errors.js';
import { isGroupFolder, ownGroup } from './cgroup.js';
import { checkedRecord, type FoundRecord, keeperFolders, readRecord } from './helper-record.js';
import { machineIdentity } from './machine.js';
import { isAlive } from './processes.js';
import type { HelperRecord, ProcessIdentity } from './spec.js';
import { notedGroups, ownerOf, runWarden, TOOL_PATH } from './warden.js';

export interface RecoveryOptions {
  /**
   * The dead worker's folder of state. With it, keepers are found that no record elsewhere tells of: a worker may die
   * between the start of its keeper and the moment when anybody has written that down. Without it, `record` is believed.
   */
  readonly stateDir?: string;
  /** PATH for sh, grep and sleep. */
  readonly toolPath?: string;
  /** How long its helpers may take to end by themselves, milliseconds; default twice their grace and 20 s. */
  readonly waitMs?: number;
  /** Told why it can't be seen what is left, where that is why there is no proof. */
  readonly onUnseen?: (error: unknown) => void;
}

/** Beyond two graces (the keeper's own and, where it was stuck, the warden's): 6 s until a stuck keeper is killed, and reserve. */
const HELPERS_MS = 20_000;
const LOOK_MS = 50;

/**
 * Ends what a dead worker's commands left, once its helpers are gone. Boot and pid namespace must be known to be ours.
 * @param record as the worker noted it last; null where it never had helpers
 * @returns true only with proof that worker, helpers and everything they started are dead; never throws
 */
export async function endLeftovers(
  record: HelperRecord | null,
  worker: ProcessIdentity,
  options: RecoveryOptions = {},
): Promise<boolean> {
  if (isAlive(worker)) return false;
  try {
    for (const each of await allRecords(record && checkedRecord(record), options.stateDir)) {
      // Of a process that has taken the dead one's id: waited for, the issues would wait for as long as it has work.
      if (isAlive(each.record.worker)) continue;
      if (!(await endOne(each, options))) return false;
    }
    return true;
  } catch (error) {
    options.onUnseen?.(error);
    return false; // not ours to read, or no process can be started: then there is no proof
  }
}

/**
 * Ends what processes before this one left in the same folder, by what they noted there: no database has to be asked
 * for it, so that commands do not outlive worker, keeper and warden for as long as it is away. Only where the record is
 * of this boot and pid namespace; a pid alone is never acted on.
 * @param tell what is worth saying, a line each
 */
export async function endOrphans(stateDir: string, tell: (line: string) => void): Promise<void> {
  const machine = machineIdentity();
  if (machine === null) return;
  const folders = await keeperFolders(stateDir).catch((error) => {
    tell(`can't look for what an earlier process left in ${stateDir}: ${messageOf(error)}`);
    return [];
  });
  await Promise.all(folders.map((folder) => endOrphan(folder, machine, tell)));
}

async function endOrphan(folder: string, machine: string, tell: (line: string) => void): Promise<void> {
  try {
    const found = await readRecord(folder);
    if (found?.record.machine !== machine || isAlive(found.record.worker)) return;
    if (!(await endOne(found, {})))
      tell(`worker process ${found.record.worker.pid} is gone, but not everything that it started`);
  } catch (error) {
    tell(`can't end what the keeper of ${folder} may have left: ${messageOf(error)}`);
  }
}

async function endOne(found: FoundRecord, options: RecoveryOptions): Promise<boolean> {
  const { record, folder } = found;
  const { keeper, warden, token, graceMs } = record;
  const helpers = warden ? [keeper, warden] : [keeper];
  if (!(await allGone(helpers, options.waitMs ?? 2 * graceMs + HELPERS_MS))) return false;
  const noted = await notedGroups(record.groupsFile);
  const groups = noted.filter((group) => ownerOf(group, token) === 'ours').map(({ pid }) => pid);
  const guarded = { ...record, controlGroup: believedGroup(found) };
  if (!(await runWarden(guarded, groups, options.toolPath ?? TOOL_PATH))) return false;
  // A group whose leader is dead and whose members show no token may be a stranger's: neither ended nor sworn to.
  if (noted.some((group) => ownerOf(group, token) !== 'gone')) return false;
  // Only a folder that we found: a path out of the database could name any.
  if (folder) await rm(folder, { recursive: true, force: true });
  return true;
}

/**
 * Where the runs' control groups are, if that may be believed: files below it are written to. A record on disk is of
 * somebody who may write there; of a database's only our own group is, at which it can't lead anywhere else.
 */
function believedGroup({ record: { controlGroup }, folder }: FoundRecord): string | null {
  if (!controlGroup) return null;
  return (folder !== null && isGroupFolder(controlGroup)) || ownGroup().base === controlGroup ? controlGroup : null;
}

/** The given record and those on disk; the latter are newer, since a warden may have been replaced since. */
async function allRecords(given: HelperRecord | null, stateDir: string | undefined): Promise<FoundRecord[]> {
  const told = given ? [given, ...(given.others ?? [])] : [];
  const folders = stateDir ? await keeperFolders(stateDir) : [];
  folders.push(...told.map(({ groupsFile }) => dirname(groupsFile)));
  const machine = machineIdentity();
  const records = new Map<string, FoundRecord>(told.map((record) => [record.token, { record, folder: null }]));
  for (const found of await Promise.all(folders.map(readRecord))) {
    // Of another boot, or another container with the same folder: its pids say nothing here.
    if (found && isOf(found.record, machine)) records.set(found.record.token, found);
  }
  return [...records.values()];
}

/** Records of older versions do not tell; then the worker's row in the database has. */
function isOf(record: HelperRecord, machine: string | null): boolean {
  return (record.machine ?? machine) === machine;
}

async function allGone(processes: readonly ProcessIdentity[], limitMs: number): Promise<boolean> {
  const until = performance.now() + limitMs;
  while (processes.some(isAlive)) {
    if (performance.now() > until) return false;
    await pause(LOOK_MS);
  }
  return true;
}

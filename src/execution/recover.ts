/** For a successor on the same machine: proof that a dead worker left nothing, made where it is not there yet. */
import { readdir, readFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
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
    for (const each of await allRecords(record, options.stateDir)) {
      // Of a process that has taken the dead one's id: waited for, the issues would wait for as long as it has work.
      if (isAlive(each.worker)) continue;
      if (!(await endOne(each, options))) return false;
    }
    return true;
  } catch {
    return false; // not ours to read, or no process can be started: then there is no proof
  }
}

async function endOne(record: HelperRecord, options: RecoveryOptions): Promise<boolean> {
  const { keeper, warden, token, graceMs } = record;
  const helpers = warden ? [keeper, warden] : [keeper];
  if (!(await allGone(helpers, options.waitMs ?? 2 * graceMs + HELPERS_MS))) return false;
  const noted = await notedGroups(record.groupsFile);
  const groups = noted.filter((group) => ownerOf(group, token) === 'ours').map(({ pid }) => pid);
  if (!(await runWarden(record, groups, options.toolPath ?? TOOL_PATH))) return false;
  // A group whose leader is dead and whose members show no token may be a stranger's: neither ended nor sworn to.
  if (noted.some((group) => ownerOf(group, token) !== 'gone')) return false;
  await rm(dirname(record.groupsFile), { recursive: true, force: true });
  return true;
}

/** The given record and those on disk; the latter are newer, since a warden may have been replaced since. */
async function allRecords(given: HelperRecord | null, stateDir: string | undefined): Promise<HelperRecord[]> {
  const folders = stateDir ? (await readdir(stateDir)).map((name) => join(stateDir, name)) : [];
  if (given) folders.push(dirname(given.groupsFile));
  const found = await Promise.all(folders.map(readRecord));
  const records = new Map(given ? [[given.token, given]] : []);
  for (const record of found) if (record) records.set(record.token, record);
  return [...records.values()];
}

async function readRecord(folder: string): Promise<HelperRecord | null> {
  try {
    return JSON.parse(await readFile(join(folder, 'record.json'), 'utf8')) as HelperRecord;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // No record: nothing was started from there, or it was left in peace.
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    throw error;
  }
}

async function allGone(processes: readonly ProcessIdentity[], limitMs: number): Promise<boolean> {
  const until = performance.now() + limitMs;
  while (processes.some(isAlive)) {
    if (performance.now() > until) return false;
    await pause(LOOK_MS);
  }
  return true;
}

/** Removes the output of issues that ended long ago. Only ended ones: a log is all that a stuck issue has to say. */
import { lstat, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Queryable } from '../db/connect.js';
import { unfinishedAmong } from '../queue/drain.js';
import { verdictDirOf } from './verdict-file.js';

const DAY_MS = 86_400_000;
const BATCH = 1000;

/**
 * @param days folders untouched for longer are removed; 0 = none
 * @returns how many issues' folders were removed
 */
export async function pruneIssueLogs(db: Queryable, logDir: string, days: number): Promise<number> {
  if (days === 0) return 0;
  const root = join(logDir, 'issues');
  const names = await namesIn(root);
  const old: number[] = [];
  for (const name of names.filter((each) => /^[1-9]\d{0,9}$/.test(each))) {
    const found = await stat(join(root, name)).catch(() => null); // another worker was faster
    if (found?.isDirectory() && found.mtimeMs < Date.now() - days * DAY_MS) old.push(Number(name));
  }
  let removed = 0;
  for (let at = 0; at < old.length; at += BATCH) {
    const batch = old.slice(at, at + BATCH);
    const keep = new Set(await unfinishedAmong(db, batch));
    for (const id of batch.filter((each) => !keep.has(each))) {
      await rm(join(root, String(id)), { recursive: true, force: true });
      removed += 1;
    }
  }
  return removed;
}

/**
 * Removes outcomes kept on disk (verdict-file.ts) that nobody could deliver: of another database, half written, set
 * aside. Every worker in this folder is looked at, since some ids never come back.
 * @param days files older than that; 0 = none
 */
export async function pruneVerdicts(logDir: string, days: number): Promise<void> {
  if (days === 0) return;
  for (const worker of await namesIn(join(logDir, '.state'))) {
    const dir = verdictDirOf(logDir, worker);
    for (const name of await namesIn(dir)) {
      const path = join(dir, name);
      const found = await lstat(path).catch(() => null); // delivered meanwhile
      if (found && found.mtimeMs < Date.now() - days * DAY_MS) await rm(path, { recursive: true, force: true });
    }
  }
}

async function namesIn(folder: string): Promise<string[]> {
  return readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return [];
    throw error;
  });
}

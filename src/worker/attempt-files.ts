/** The files of one attempt: its log, the issue for the command to read, the result for it to write. */
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { messageOf } from '../core/errors.js';
import { SEGMENT } from '../execution/tail.js';
import { makeFolder } from '../folders.js';
import type { Condition } from '../log/condition.js';

/** Where the files of one attempt lie. */
export interface AttemptFiles {
  readonly dir: string;
  readonly log: string;
  /** The issue as JSON, for the command. */
  readonly issue: string;
  /** What the command may write its result to. */
  readonly result: string;
  /** What the command may append events to, a line of JSON each. */
  readonly events: string;
  /** A folder elsewhere that holds issue, result and events, removed with the end of the attempt; null in the ordinary case. */
  readonly spare: string | null;
}

/** An issue that is put off again and again gets a log each time: of one issue, so many attempts are kept. */
const ATTEMPTS_KEPT = 100;

/** @param logDir absolute, since the command may run in another folder */
export function attemptFiles(logDir: string, issueId: number, attempt: number): AttemptFiles {
  const dir = join(logDir, 'issues', String(issueId));
  return {
    dir,
    log: join(dir, `${attempt}.log`),
    issue: join(dir, `${attempt}.json`),
    result: join(dir, `${attempt}.result`),
    events: join(dir, `${attempt}.events`),
    spare: null,
  };
}

/**
 * Makes the folder and writes the issue. Where the disk of the logs takes nothing (full, read-only, removed) issue and
 * result lie in a folder among the system's temporary files: the command runs, and only its log is missing. Without
 * the file, or with half of it, a command that reads it would fail, and the issue be charged for the disk.
 * @returns where the files are
 * @throws where there is no room for the issue anywhere
 */
export function makeFiles(files: AttemptFiles, attempt: number, issue: string, disk: Condition): AttemptFiles {
  try {
    // In a folder that was just made nothing is older.
    if (makeFolder(files.dir, 0o700) === undefined) removeOlder(files, attempt);
    writeFileSync(files.issue, issue, { mode: 0o600 });
    disk.fine();
    return files;
  } catch (error) {
    rmSync(files.issue, { recursive: true, force: true });
    const spare = mkdtempSync(join(tmpdir(), 'cape-attempt-'));
    const elsewhere = {
      ...files,
      issue: join(spare, 'issue.json'),
      result: join(spare, 'result'),
      events: join(spare, 'events'),
      spare,
    };
    writeFileSync(elsewhere.issue, issue, { mode: 0o600 });
    disk.failed(messageOf(error));
    return elsewhere;
  }
}

/** Of the same issue of another database, or of this one before its ids began again: nothing of it is this attempt's. */
function removeOlder(files: AttemptFiles, attempt: number): void {
  rmSync(files.result, { recursive: true, force: true });
  rmSync(files.events, { recursive: true, force: true });
  if (existsSync(files.log)) removeAttempt(files.dir, attempt);
  if (attempt > ATTEMPTS_KEPT) removeAttempt(files.dir, attempt - ATTEMPTS_KEPT);
}

function removeAttempt(dir: string, attempt: number): void {
  const log = basename(attemptFiles('', 0, attempt).log);
  const names = readdirSync(dir).filter((name) => name.startsWith(log + SEGMENT));
  for (const name of [log, `${attempt}.json`, `${attempt}.result`, `${attempt}.events`, ...names])
    rmSync(join(dir, name), { recursive: true, force: true });
}

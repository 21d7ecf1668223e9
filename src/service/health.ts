/** Is what an installed service names still there, and as it must be? Looked at, never changed. */
import { accessSync, constants, lstatSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { oneLine } from '../core/text.js';
import type { ServiceSpec } from './spec.js';

/** What is wrong, a line each, with what to do; empty where nothing is. */
export function healthProblems(spec: ServiceSpec): string[] {
  const found = [
    programProblem('Node', spec.node, constants.X_OK, spec),
    programProblem('the program', spec.program, constants.R_OK, spec),
    folderProblem('working folder', spec.workingDir, `make it again, or ${again(spec)} --working-dir FOLDER`),
    folderProblem('log folder', spec.logDir, `${again(spec)} makes it, or takes another by --log-dir`),
    envFileProblem(spec),
  ];
  return found.filter((problem) => problem !== null);
}

/** An upgrade by nvm or Homebrew takes the old Node away: what runs goes on, and the next start fails. */
function programProblem(what: string, path: string, mode: number, { workerId }: ServiceSpec): string | null {
  const remedy = `cape-worker service upgrade ${workerId} writes today's`;
  try {
    if (!statSync(path).isFile()) return `${what} ${oneLine(path)} is no file: ${remedy}`;
    accessSync(path, mode);
    return null;
  } catch (error) {
    return `${what} ${oneLine(path)} ${wordsFor(error, mode === constants.X_OK ? "can't be executed" : "can't be read")}: ${remedy}`;
  }
}

function wordsFor(error: unknown, closed: string): string {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOENT' || code === 'ENOTDIR' ? 'is gone' : `${closed} (${code})`;
}

function folderProblem(what: string, path: string, remedy: string): string | null {
  try {
    return statSync(path).isDirectory() ? null : `the ${what} ${oneLine(path)} is no folder: ${remedy}`;
  } catch (error) {
    return `the ${what} ${oneLine(path)} ${wordsFor(error, "can't be looked at")}: ${remedy}`;
  }
}

function again({ workerId }: ServiceSpec): string {
  return `cape-worker service install ${workerId}`;
}

/** It holds the password of the database. */
function envFileProblem(spec: ServiceSpec): string | null {
  const { envFile, account } = spec;
  const file = `env file ${oneLine(envFile)}`;
  try {
    const stats = lstatSync(envFile);
    // Before its mode: that of a link can't be changed, and is that of no file.
    const kind = stats.isSymbolicLink() ? 'a link' : stats.isDirectory() ? 'a folder' : 'no regular file';
    if (!stats.isFile()) return `${file} is ${kind}: put the file itself there, or ${again(spec)} --env-file FILE`;
    const { mode, uid } = stats;
    const bits = mode & 0o7777;
    if (bits !== 0o600) return `${file} has mode ${bits.toString(8).padStart(4, '0')}, not 0600: chmod 600`;
    if (uid !== account.uid)
      return `${file} belongs to user ${uid}, not to ${oneLine(account.name)} (${account.uid}): chown`;
    return null;
  } catch (error) {
    // A closed folder above it is how it should be for whoever is not the account.
    const { code } = error as NodeJS.ErrnoException;
    return code === 'EACCES' ? null : `${file} ${wordsFor(error, "can't be looked at")}: ${again(spec)}`;
  }
}

/** Version of the program as it lies on disk; null where it can't be read. */
export function versionOnDisk(root: string): string | null {
  try {
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
    return typeof version === 'string' ? version : null;
  } catch {
    return null; // gone, or half-way through an upgrade: the checks of the program's file tell
  }
}

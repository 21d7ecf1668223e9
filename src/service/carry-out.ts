/** Carrying out what was planned, one step after another; a failure says what is there and how to go on. */
import { closeSync, fchmodSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { CapeError, messageOf } from '../core/errors.js';
import { makeFolder } from '../folders.js';
import { runAs } from './as-account.js';
import { installDatabase } from './database.js';
import { writeEnvFile } from './env-file.js';
import { changeEnvText } from './env-text.js';
import { refuseOtherText } from './found-env-file.js';
import type { Host } from './host.js';
import { isLingering, switchLingerOn } from './linger.js';
import { otherDatabase, type Plan } from './plan.js';
import { nearest } from './preflight.js';
import { isSameDatabase } from './same-database.js';
import { isRoots } from './trusted-folder.js';

export interface Done {
  /** Paths that were written, in order. */
  readonly written: readonly string[];
  readonly warnings: readonly string[];
}

/**
 * Writes the files and makes the manager know them. Nothing is started here.
 * @param say told of each thing that is done
 * @throws CapeError `refused` that tells what has been done so far
 */
export async function carryOut(plan: Plan, host: Host, say: (line: string) => void): Promise<Done> {
  const written: string[] = [];
  const warnings: string[] = [];
  const wrote = (path: string) => {
    written.push(path);
    say(`wrote ${path}`);
  };
  try {
    await makeLogFolder(plan, host, say);
    // First: without a session it is lingering that starts the user's own systemd.
    if (plan.spec.scope === 'user') warnings.push(...(await linger(plan, host, say)));
    const database = plan.spec.withDatabase ? await installDatabase({ plan, host, say }) : null;
    if (writeEnv(plan, database)) wrote(plan.env.path);
    if (plan.unit.before !== plan.unit.after) {
      makeFolder(dirname(plan.unit.path), 0o755);
      writeUnit(plan.unit.path, plan.unit.after);
      wrote(plan.unit.path);
    }
    await introduce(plan, say);
    return { written, warnings };
  } catch (error) {
    throw halfDone(error, written, plan);
  }
}

function halfDone(error: unknown, written: readonly string[], { workerId, spec }: Plan): unknown {
  const code = (error as NodeJS.ErrnoException).code;
  if (!(error instanceof CapeError) && code === undefined) return error;
  const there = written.length === 0 ? 'nothing was written' : `already written: ${written.join(', ')}`;
  const back =
    written.length === 0 ? '' : `, or take it back: cape-worker service uninstall ${workerId} --${spec.scope}`;
  const kind = error instanceof CapeError ? error.kind : 'refused';
  return new CapeError(kind, `${messageOf(error)}; ${there}; mend the cause and run the same command again${back}`);
}

/** As the account where it may: root that makes a folder where a user can put links would follow them. */
async function makeLogFolder(plan: Plan, host: Host, say: (line: string) => void): Promise<void> {
  const { spec, account, logDirIsAccounts } = plan;
  const { logDir } = spec;
  if (nearest(logDir) === logDir) return;
  const { code, problem } = await runAs(account, host, 'mkdir', ['-p', '--', logDir]);
  if (code !== 0 && logDirIsAccounts) {
    const todo = `CAPE_LOG_DIR in ${plan.env.path} names it; give it as --log-dir to have it made`;
    throw new CapeError('refused', `${logDir} can't be made: ${problem}; ${todo}`);
  }
  if (code !== 0) await makeAsRoot(logDir, account, host, problem);
  say(`made ${logDir}`);
}

async function makeAsRoot(path: string, account: Plan['account'], host: Host, problem: string): Promise<void> {
  if (host.uid !== 0 || !isRoots(nearest(path))) throw new CapeError('refused', `${path} can't be made: ${problem}`);
  makeFolder(dirname(path), 0o755);
  const { code, problem: why } = await runInstall(path, account, host);
  if (code !== 0) throw new CapeError('refused', `${path} can't be made: ${why}`);
}

/** Makes the folder with its owner in one step. */
function runInstall(path: string, { uid, gid, name, home, group }: Plan['account'], host: Host) {
  const root = { uid: host.uid, gid: 0, name, home, group };
  return runAs(root, host, 'install', ['-d', '-m', '0750', '-o', String(uid), '-g', String(gid), path]);
}

/**
 * @returns true where the file was changed
 * @throws CapeError `refused` rather than to put another database in the place of one that somebody chose
 */
function writeEnv(plan: Plan, database: { url: string } | null): boolean {
  const { env, envLoose, account, places, ownsDatabase, settings } = plan;
  const named = settings.config.databaseUrl;
  const kept = database !== null && named !== undefined && isSameDatabase(named, database.url);
  if (database !== null && named !== undefined && !kept && !ownsDatabase) {
    throw otherDatabase(env.path);
  }
  const text = database === null || kept ? env.after : changeEnvText(env.after, { DATABASE_URL: database.url });
  if (text === env.before && !envLoose) return false;
  refuseOtherText(env.path, env.before); // the URL may be all that changes
  writeEnvFile(env.path, text, { uid: account.uid, gid: account.gid, folderMode: places.configMode });
  return true;
}

async function linger({ account }: Plan, host: Host, say: (line: string) => void): Promise<string[]> {
  if (host.platform !== 'linux' || (await isLingering(account, host))) return [];
  const problem = await switchLingerOn(account, host);
  if (problem === null) say(`switched lingering on for ${account.name}: it runs without a login, from boot on`);
  const todo = `sudo loginctl enable-linger ${account.name}`;
  return problem === null ? [] : [`it will run only while ${account.name} is logged in: ${problem}; ${todo}`];
}

async function introduce({ manager, workerId, unit }: Plan, say: (line: string) => void): Promise<void> {
  if (unit.before !== unit.after) await manager.reload(workerId);
  const state = await manager.state(workerId);
  if (state.enabled) return;
  await manager.enable(workerId);
  say(`enabled ${manager.nameOf(workerId)}`);
}

/** Whole or not at all: a manager may read it at any moment. */
function writeUnit(path: string, text: string): void {
  const temporary = `${path}.${process.pid}.new`;
  const file = openSync(temporary, 'wx', 0o644);
  try {
    // Whatever the umask: it holds no secret, and `systemctl cat` is for everybody.
    fchmodSync(file, 0o644);
    writeSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  try {
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

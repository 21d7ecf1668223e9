/** Accounts as the system knows them, and whom a service runs as. */
import { statSync } from 'node:fs';
import { CapeError } from '../core/errors.js';
import { oneLine } from '../core/text.js';
import type { Host } from './host.js';
import type { Account, Scope } from './spec.js';
import { runTool, type ToolOptions } from './tool.js';

export interface FoundAccount extends Account {
  /** Its login shell; null where it has none that a person could use. */
  readonly shell: string | null;
}

const NO_SHELL = /\/(nologin|false|sync|halt|shutdown)$/;

/**
 * Looks an account up, by name or by uid: `getent` knows also those of LDAP and the like.
 * @throws CapeError `usage` where there is none, or its home is not there
 */
export async function findAccount(who: string | number, host: Host): Promise<FoundAccount> {
  // A name that begins with a dash would be an option.
  if (typeof who === 'string' && !/^[^\s:/-][^\s:/]*$/.test(who)) throw noSuchUser(who);
  const found = host.platform === 'darwin' ? await askDirectory(String(who), host) : await askGetent(String(who), host);
  if (!found) throw noSuchUser(String(who));
  if (!statSync(found.home, { throwIfNoEntry: false })?.isDirectory()) {
    throw new CapeError(
      'usage',
      `--run-as: the home of ${found.name} is ${oneLine(found.home)}, which is no folder; a worker needs one`,
    );
  }
  return found;
}

function noSuchUser(name: string): CapeError {
  return new CapeError('usage', `--run-as: got "${oneLine(name).slice(0, 100)}"; this machine knows no such user`);
}

async function askGetent(who: string, host: Host): Promise<FoundAccount | null> {
  const options = toolOptions(host);
  const { code, stdout } = await runTool('getent', ['passwd', who], options);
  const [name, , uid, gid, , home, shell = ''] = stdout.trim().split('\n')[0]?.split(':') ?? [];
  if (code !== 0 || !name || !home) return null;
  const group = (await runTool('getent', ['group', String(gid)], options)).stdout.split(':')[0];
  return { name, uid: Number(uid), gid: Number(gid), group: group || String(gid), home, shell: usable(shell) };
}

/** macOS has no getent; `dscl` is its door to the same. */
async function askDirectory(who: string, host: Host): Promise<FoundAccount | null> {
  const options = toolOptions(host);
  const ask = async (...flags: string[]) => (await runTool('id', [...flags, who], options)).stdout.trim();
  const name = await ask('-un');
  if (name === '') return null;
  const read = await runTool('dscl', ['.', '-read', `/Users/${name}`, 'NFSHomeDirectory', 'UserShell'], options);
  const field = (key: string) => new RegExp(`^${key}:\\s*(.*)$`, 'm').exec(read.stdout)?.[1]?.trim() ?? '';
  const [uid, gid, group] = [await ask('-u'), await ask('-g'), await ask('-gn')];
  const home = field('NFSHomeDirectory') || `/Users/${name}`;
  return { name, uid: Number(uid), gid: Number(gid), group, home, shell: usable(field('UserShell')) };
}

/** An empty field means /bin/sh. */
function usable(shell: string): string | null {
  if (shell === '') return '/bin/sh';
  return NO_SHELL.test(shell) ? null : shell;
}

function toolOptions({ environment }: Host): ToolOptions {
  return { env: environment, timeoutMs: 10_000 };
}

export interface AccountWish {
  readonly scope: Scope;
  readonly runAs: string | undefined;
  readonly allowRoot: boolean;
  /** Whom the installed service runs as, if there is one: stays so unless another is named. */
  readonly installed: Account | null;
}

/**
 * Whom a service is to run as: `--run-as`, else whom it runs as already, else who is behind sudo, else who asks.
 * @throws CapeError `usage` for root without `--allow-root`, for another user's user service, for an unknown user
 */
export async function chooseAccount(wish: AccountWish, host: Host): Promise<FoundAccount> {
  const { scope, runAs, allowRoot, installed } = wish;
  if (scope === 'user') return ownAccount(wish, host);
  const behind = host.environment.SUDO_USER || undefined;
  const account = await findAccount(runAs ?? installed?.name ?? behind ?? host.uid, host);
  const kept = runAs === undefined && installed?.uid === 0;
  if (account.uid === 0 && !allowRoot && !kept) {
    throw new CapeError(
      'usage',
      'it would run as root, and so would every command: name another user by --run-as, or say --allow-root',
    );
  }
  return account;
}

async function ownAccount({ runAs, allowRoot, installed }: AccountWish, host: Host): Promise<FoundAccount> {
  const account = await findAccount(host.uid, host);
  if (runAs !== undefined && runAs !== account.name) {
    throw new CapeError(
      'usage',
      `--run-as: a service with --user runs as who installs it; use --system for ${oneLine(runAs)}`,
    );
  }
  if (account.uid === 0 && !allowRoot && installed?.uid !== 0) {
    throw new CapeError(
      'usage',
      '--user: it would run as root; run the command as the user (not by sudo), or say --allow-root',
    );
  }
  return account;
}

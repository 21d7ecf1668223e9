/** The account that the machine's database runs as. */
import { CapeError } from '../core/errors.js';
import { runTool, type ToolOptions } from './tool.js';

const NAME = 'cape-postgres';
/** Tells an account that was made here from one that the machine's owner made. */
const COMMENT = 'Postgres of cape-worker';

export interface DatabaseAccount {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/**
 * The account, made where it is missing.
 * @param home its home by name, which it never sees
 * @throws CapeError `refused` in the words of useradd
 */
export async function ensureDatabaseAccount(
  home: string,
  options: ToolOptions,
  say: (line: string) => void,
): Promise<DatabaseAccount> {
  const found = await look(options);
  if (found) return found.account;
  const kind = ['--system', '--user-group', '--no-create-home', '--home-dir', home, '--shell', '/usr/sbin/nologin'];
  const { code, problem } = await runTool('useradd', [...kind, '--comment', COMMENT, NAME], options);
  const made = await look(options);
  if (!made) {
    throw new CapeError('refused', `the account ${NAME} can't be made (${code}: ${problem}): add one, and try again`);
  }
  say(`made the account ${NAME}`);
  return made.account;
}

/** Removes the account where it was made here. @returns what went wrong, or null */
export async function removeDatabaseAccount(options: ToolOptions, say: (line: string) => void): Promise<string | null> {
  if (!(await look(options))?.ours) return null;
  const { code, problem } = await runTool('userdel', [NAME], options);
  if (code !== 0) return `the account ${NAME} stays: ${problem}`;
  say(`removed the account ${NAME}`);
  return null;
}

async function look(options: ToolOptions): Promise<{ account: DatabaseAccount; ours: boolean } | null> {
  const { code, stdout } = await runTool('getent', ['passwd', NAME], options);
  const [name, , uid, gid, comment] = stdout.split(':');
  if (code !== 0 || name !== NAME) return null;
  return { account: { name, uid: Number(uid), gid: Number(gid) }, ours: comment === COMMENT };
}

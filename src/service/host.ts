/** Where a command about services runs: everything that it would otherwise ask the process or the platform for. */
import { userInfo } from 'node:os';

export interface Host {
  readonly platform: NodeJS.Platform;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Who runs the command. */
  readonly uid: number;
  /** Home of who runs it, by the system's own list of accounts: sudo may keep another user's HOME. */
  readonly home: string;
  /** Stands for `/` in tests, which must not write to the machine's own folders; empty. */
  readonly root: string;
}

export function hostOf(environment: Host['environment']): Host {
  const { uid, homedir } = userInfo();
  return { platform: process.platform, environment, uid, home: homedir, root: '' };
}

/** Where the embedded Postgres keeps its things. */

import { randomBytes } from 'node:crypto';
import { userInfo } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import { CapeError } from '../../core/errors.js';

/** What the choice of the default folder depends on; read by the caller, so that the choice itself is pure. */
export interface HomeHints {
  /** $HOME. */
  home: string | undefined;
  /** $XDG_DATA_HOME. */
  xdgDataHome: string | undefined;
  platform: NodeJS.Platform;
  uid: number;
  /** The home folder in the account database, for when $HOME is empty: `accountHome()`. */
  accountHome: string | undefined;
}

/**
 * The platform's data folder for this program.
 * Root gets one of the system's: the server runs under another uid, which cannot enter /root.
 * @throws CapeError config, naming CAPE_DATA_DIR, where there is no home folder.
 */
export function defaultDataDir({ home, xdgDataHome, platform, uid, accountHome }: HomeHints): string {
  // The XDG specification: a relative path is to be ignored.
  if (xdgDataHome && isAbsolute(xdgDataHome)) return join(xdgDataHome, 'cape-worker');
  const mac = platform === 'darwin';
  if (uid === 0) return mac ? '/Library/Application Support/cape-worker' : '/var/lib/cape-worker';
  const base = [home, accountHome].find((folder) => folder && isAbsolute(folder) && folder !== '/nonexistent');
  if (!base) {
    throw new CapeError(
      'config',
      `no home folder to keep the embedded Postgres in (HOME is "${home ?? ''}"): set CAPE_DATA_DIR to a folder, or DATABASE_URL to a server`,
    );
  }
  return mac
    ? join(base, 'Library', 'Application Support', 'cape-worker')
    : join(base, '.local', 'share', 'cape-worker');
}

/** The home folder that the account database gives for this uid; undefined for a uid without an account. */
export function accountHome(): string | undefined {
  try {
    return userInfo().homedir;
  } catch {
    return undefined; // an unknown uid, usual in containers: the caller has other hints
  }
}

/** The paths inside the data folder. */
export interface Layout {
  /** The data folder itself: ours, others of this program may keep things there too. */
  dataDir: string;
  /** All that belongs to the embedded Postgres. */
  home: string;
  /** The cluster (PGDATA): the only part that the server itself writes. */
  cluster: string;
  /** The generated password, one line, mode 0600. */
  password: string;
  /** The TCP port, kept from start to start so that noted URLs stay valid. */
  port: string;
  /** Links that the packaged binaries need. */
  links: string;
  /** Copies of the packaged binaries, this and the version: made where the server's uid cannot read the package. */
  native: string;
  /** Names the server that stays when its last user leaves. */
  kept: string;
  /** Says that a service starts and stops the server, and nobody else. */
  service: string;
  /** Says that the data was made for a service. In the cluster, so that it goes with the data. */
  madeForService: string;
}

/** The paths inside `dataDir` (relative to the current folder if it is relative). */
export function layoutOf(dataDir: string): Layout {
  const root = resolve(dataDir);
  const home = join(root, 'postgres');
  return {
    dataDir: root,
    home,
    cluster: join(home, 'data'),
    password: join(home, 'password'),
    port: join(home, 'port'),
    links: join(home, 'links'),
    native: join(home, 'native-'),
    kept: join(home, 'kept'),
    service: join(home, 'service'),
    madeForService: join(home, 'data', 'made-for-service'),
  };
}

/** A name beside `path` to make something under before it is moved into place: `<path>.new-<pid>-<random>`. */
export function freshName(path: string): string {
  return `${path}.new-${process.pid}-${randomBytes(3).toString('hex')}`;
}

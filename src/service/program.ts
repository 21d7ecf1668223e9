/** This program as a service's definition names it. */
import { existsSync, realpathSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';

export interface Program {
  /** The Node binary. */
  readonly node: string;
  /** `dist/cli/main.js`. */
  readonly main: string;
  /** The package's folder. */
  readonly root: string;
  /** A folder that somebody works in, and not one that npm put among its packages. */
  readonly clone: boolean;
}

/** Links here stay through upgrades, where what they lead to has its version in its name (Homebrew's Cellar). */
const LASTING = ['/usr/bin', '/usr/local/bin', '/opt/homebrew/bin', '/home/linuxbrew/.linuxbrew/bin', '/opt/local/bin'];

/**
 * @param main path of `dist/cli/main.js`
 * @param execPath the Node that runs; its links are resolved
 */
export function programOf(main: string, execPath: string, lasting: readonly string[] = LASTING): Program {
  const root = dirname(dirname(dirname(main)));
  return { node: lastingNode(execPath, lasting), main, root, clone: !root.includes('/node_modules/') };
}

function lastingNode(execPath: string, folders: readonly string[]): string {
  const links = folders.map((folder) => join(folder, 'node'));
  return links.find((link) => existsSync(link) && realpathSync(link) === execPath) ?? execPath;
}

/** Something that a person should know of where the program lies; null where it lies well. */
export function doubtOf({ root, node }: Program): string | null {
  if (root.includes('/_npx/')) return `${root} is npx's cache, which may be emptied: npm install -g cape-worker`;
  if (node.includes('/fnm_multishells/')) return `${node} belongs to this one shell, by fnm; use a Node that stays`;
  return null;
}

/**
 * systemd tells the second in which a service was up: what was written within it was there before. So does `ps`, which is
 * asked with launchd, and one second too early where the time of the boot is not a whole one (Linux).
 */
const RESOLUTION_MS = 1999;
const limitOf = (time: Date) => time.getTime() + RESOLUTION_MS;

/**
 * True where one of the files was put there after that time. By the time of the inode's change: npm gives files from its
 * packages a date of 1985.
 */
export function isAnyNewer(files: readonly string[], time: Date): boolean {
  return files.some((file) => (statSync(file, { throwIfNoEntry: false })?.ctimeMs ?? 0) > limitOf(time));
}

/**
 * True where the program, or its Node, was put there after that time. By its birth, not by the change of its inode: npm
 * and npx set the program's mode anew for each account that first calls it. mtime is for what was written in place.
 */
export function isNewerThan({ main, node, root }: Program, time: Date): boolean {
  return [main, node, join(root, 'package.json')].some((file) => {
    const found = statSync(file, { throwIfNoEntry: false });
    // Where a file system keeps no birth, Node has that of the change, or 0.
    return found !== undefined && Math.max(found.mtimeMs, found.birthtimeMs || found.ctimeMs) > limitOf(time);
  });
}

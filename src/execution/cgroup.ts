/**
 * Where control groups of our own may be made: below our own group, where a service manager has handed it over to us
 * (systemd's `Delegate=yes`). Only the cgroup2 hierarchy has `cgroup.kill`; a hybrid host mounts it beside the older
 * ones, without a controller, which is enough. No controller is ever switched on (cgroup.subtree_control): a group with
 * one may hold no processes beside its sub-groups, and worker, keeper and warden stay where they are.
 */
import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmdirSync,
  writeSync,
} from 'node:fs';
import { basename, join, normalize } from 'node:path';
import { messageOf } from '../core/errors.js';
import { hasProc } from './processes.js';

/** The folder in which groups may be made, or why there is none. */
export type OwnGroup = { readonly base: string } | NoGroup;

export interface NoGroup {
  readonly base: null;
  readonly why: string;
  /** We are a service, and only its unit, its user or the kernel are in the way. */
  readonly service: boolean;
}

interface Mount {
  /** Which group of the hierarchy its top is. */
  readonly root: string;
  readonly folder: string;
}

/** `id parent major:minor ROOT FOLDER options [optional fields] - TYPE source options`, spaces in names as \040. */
const MOUNT = /^\S+ \S+ \S+ (?<root>\S+) (?<folder>\S+) .*?- cgroup2 /;

/** The group that our runs may have theirs below. Looks, and changes nothing: {@link proveGroup} tries it. */
export function ownGroup(): OwnGroup {
  if (!hasProc) return none('this system has no control groups');
  try {
    const path = pathIn(readFileSync('/proc/self/cgroup', 'utf8'));
    const mounts = mountsIn(readFileSync('/proc/self/mountinfo', 'utf8'));
    return usable(path, mounts);
  } catch (error) {
    return none(messageOf(error));
  }
}

/** For a folder out of a record: true where it is one of this host's control groups, by its name. */
export function isGroupFolder(folder: string): boolean {
  if (!hasProc || normalize(folder) !== folder) return false;
  const mounts = mountsIn(readFileSync('/proc/self/mountinfo', 'utf8'));
  return mounts.some((mount) => folder.startsWith(`${mount.folder}/`));
}

/**
 * Tries what every run needs: makes a group, goes into it and back, ends what is in it (nothing), removes it.
 * @throws what the system said where that can't be
 */
export function proveGroup(base: string, name: string): void {
  const probe = join(base, name);
  mkdirSync(probe);
  try {
    try {
      moveInto(probe);
      const inside = pathIn(readFileSync('/proc/self/cgroup', 'utf8'));
      if (basename(inside) !== name) throw new Error(`a process moved into ${probe} is in ${inside}`);
    } finally {
      moveInto(base);
    }
    killAllIn(probe);
  } finally {
    rmdirSync(probe);
  }
}

/** This process, with all its threads. @throws where that is not allowed */
export function moveInto(group: string): void {
  write(join(group, 'cgroup.procs'), '0'); // whoever writes it
}

/** SIGKILL to everything in a group and below it at once, also of other users and what is just being forked. @throws */
export function killAllIn(group: string): void {
  write(join(group, 'cgroup.kill'), '1');
}

/** Our own group as `/proc/self/cgroup` names it; of a hybrid host the line of the cgroup2 hierarchy. */
export function pathIn(cgroup: string): string {
  const line = cgroup.split('\n').find((each) => each.startsWith('0::'));
  if (line === undefined) throw new Error('this host has control groups of version 1 only');
  return line.slice(3);
}

/** The mounts of the cgroup2 hierarchy in `/proc/self/mountinfo`. */
export function mountsIn(mountinfo: string): Mount[] {
  return mountinfo.split('\n').flatMap((line) => {
    const { root, folder } = MOUNT.exec(line)?.groups ?? {};
    return root && folder ? [{ root: decoded(root), folder: decoded(folder) }] : [];
  });
}

/** The folder of a group; null where the mount does not show it, or it lies outside of our namespace (`/..`). */
export function folderOf(path: string, { root, folder }: Mount): string | null {
  if (path.split('/').includes('..') || root.split('/').includes('..')) return null;
  const top = root === '/' ? '' : root;
  return path.startsWith(`${top}/`) ? join(folder, path.slice(top.length)) : null;
}

function usable(path: string, mounts: readonly Mount[]): OwnGroup {
  // A session, a container's root or a slice may be writable, too, and is not ours: only of a service are we the owner.
  if (!basename(path).endsWith('.service')) return none(`this process is in ${path}, which is no service of its own`);
  const lacking = (why: string) => none(why, true);
  const folders = mounts.map((mount) => folderOf(path, mount)).filter((folder) => folder !== null);
  const folder = folders.find((each) => existsSync(join(each, 'cgroup.procs')));
  if (folder === undefined) return lacking(`no mounted hierarchy of control groups shows ${path}`);
  if (!existsSync(join(folder, 'cgroup.kill')))
    return lacking('this kernel has no cgroup.kill, which came with Linux 5.14');
  if (![folder, join(folder, 'cgroup.procs')].every(isWritable))
    return lacking(`${folder} is not delegated to this user (a unit's Delegate=yes)`);
  return { base: folder };
}

function none(why: string, service = false): NoGroup {
  return { base: null, why, service };
}

/** Nobody may read cgroup.kill (root is not stopped by that), and none of these files is to be made where it is missing. */
function write(path: string, text: string): void {
  const fd = openSync(path, constants.O_WRONLY);
  try {
    writeSync(fd, text);
  } finally {
    closeSync(fd);
  }
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false; // also on a mount that is read-only, where root is refused, too
  }
}

function decoded(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}

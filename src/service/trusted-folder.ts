/**
 * Files below folders that are not root's. Root that reads or writes there by a path can be led elsewhere: whoever may
 * change a folder puts a link in the place of a file, or of a folder on the way, between any two looks at it. So root does
 * such a thing with the rights of the folder's owner, and the kernel says what is allowed.
 */
import { lstatSync, readlinkSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { CapeError } from '../core/errors.js';
import { oneLine } from '../core/text.js';

/** Who acts: root by itself, or an account in its place. */
export type Actor = { readonly kind: 'self' } | { readonly kind: 'owner'; readonly uid: number; readonly gid: number };

/**
 * Who should touch what lies in this folder, or below it where it is not there yet.
 * @param folder absolute
 * @throws CapeError `refused` for root where strangers can lead it elsewhere, and no one account can act in its place
 */
export function actorFor(folder: string): Actor {
  if (process.getuid?.() !== 0) return { kind: 'self' };
  const steps: Step[] = [];
  const nearest = walk(folder, steps);
  const open = steps.find((step) => isOpen(step));
  if (open === undefined) return { kind: 'self' };
  const { uid, gid } = lstatSync(nearest);
  if (uid !== 0) return { kind: 'owner', uid, gid };
  const where = `others than root can change ${oneLine(open.folder)}`;
  throw new CapeError('refused', `${oneLine(folder)}: ${where}; choose a folder of root's or of the account`);
}

/** A folder on the way, and whose the next name in it is; null at the end of the way. */
interface Step {
  readonly folder: string;
  readonly nextUid: number | null;
}

/**
 * Goes to the folder, or as far as there are folders, by every folder that has a say in where that is: also those that
 * hold links, and those that links lead through.
 */
function walk(path: string, steps: Step[]): string {
  let at = '/';
  for (const name of path.split('/').filter(Boolean)) {
    const next = join(at, name);
    const stats = lstatSync(next, { throwIfNoEntry: false });
    if (stats === undefined) break;
    steps.push({ folder: at, nextUid: stats.uid });
    // The kernel follows forty; a circle of links ends here.
    if (steps.length > 200) throw new CapeError('refused', `${oneLine(path)}: too many links`);
    at = stats.isSymbolicLink() ? walk(resolve(at, readlinkSync(next)), steps) : next;
  }
  steps.push({ folder: at, nextUid: null });
  return at;
}

/**
 * True for a folder that is root's, as are all on the way to it: nobody's link has led there. A group that root lets write
 * there is trusted: on Ubuntu syslog is one in /var/log.
 */
export function isRoots(folder: string): boolean {
  const steps: Step[] = [];
  walk(folder, steps);
  return !steps.some((step) => isOpen(step, true));
}

/** In a sticky folder, as /tmp is, nobody can exchange what is root's; but names that are still free are anybody's. */
function isOpen({ folder, nextUid }: Step, trustsGroups = false): boolean {
  const { uid, gid, mode } = lstatSync(folder);
  if (uid !== 0) return true;
  const writable = (mode & 0o002) !== 0 || (!trustsGroups && (mode & 0o020) !== 0 && gid !== 0);
  return writable && !((mode & 0o1000) !== 0 && nextUid === 0);
}

/** Does the work with the rights of the actor. Not asynchronous: the rights are those of the whole process meanwhile. */
export function actAs<T>(actor: Actor, work: () => T): T {
  const { getgroups, setgroups, setegid, seteuid } = process;
  if (actor.kind === 'self' || !getgroups || !setgroups || !setegid || !seteuid) return work();
  const groups = getgroups();
  setgroups([actor.gid]);
  setegid(actor.gid);
  seteuid(actor.uid);
  try {
    return work();
  } finally {
    seteuid(0);
    setegid(0);
    setgroups(groups);
  }
}

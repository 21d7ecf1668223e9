/**
 * A control group that looks like a service's, for tests of what happens in one: made below the top of the hierarchy,
 * which root may do where it is mounted for writing. This process moves in, and what it starts is born there.
 */
import { chownSync, mkdirSync, readdirSync, readFileSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { folderOf, mountsIn, moveInto, pathIn } from '../../src/execution/cgroup.js';
import { eventually } from '../execution/harness.js';

export interface ServiceGroup {
  readonly folder: string;
  /** As a service manager does for the user of a service; 0 takes it back. */
  delegate(uid: number): void;
  /** The runs' control groups in it. */
  runs(): string[];
  /** This process and what it starts from now on. */
  enter(): void;
  /** Back to where it came from. */
  leave(): void;
  /** Waits until what was started has gone. */
  remove(): Promise<void>;
}

/** Made, but not entered; or why that can't be here. */
export function makeServiceGroup(name = `capetest-${process.pid}.service`): ServiceGroup | string {
  try {
    const path = pathIn(readFileSync('/proc/self/cgroup', 'utf8'));
    const [mount] = mountsIn(readFileSync('/proc/self/mountinfo', 'utf8'));
    const home = mount && folderOf(path, mount);
    if (!home) return `no mounted hierarchy shows our own control group ${path}`;
    const folder = join(mount.folder, name);
    mkdirSync(folder);
    moveInto(folder);
    moveInto(home);
    return {
      folder,
      delegate: (uid) => {
        for (const name of ['', 'cgroup.procs', 'cgroup.threads', 'cgroup.subtree_control'])
          chownSync(join(folder, name), uid, uid);
      },
      runs: () => readdirSync(folder).filter((entry) => entry.startsWith('cape-')),
      enter: () => moveInto(folder),
      leave: () => moveInto(home),
      remove: () => eventually(`${folder} is empty`, () => isRemoved(folder)).then(() => {}),
    };
  } catch (error) {
    return `no control group can be made here: ${(error as Error).message}`;
  }
}

function isRemoved(folder: string): boolean {
  try {
    rmdirSync(folder);
    return true;
  } catch {
    return false;
  }
}

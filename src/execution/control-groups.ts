/**
 * A control group for every run, where the keeper's own is delegated to it. Node can't start a process in another group,
 * and one that is moved after its start may have forked before: so the keeper itself goes into the group, starts the
 * command and comes back. Node's spawn returns when the command is executed, so nothing else is started in between.
 * Both moves take 0.2 ms together, and 12 ms where none was made just before: the kernel then waits for its processors.
 */
import type { ChildProcess } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '../core/errors.js';
import { moveInto, ownGroup, proveGroup } from './cgroup.js';
import { ControlGroup, groupName, removeLeftovers } from './control-group.js';

export interface Spawned {
  readonly child: ChildProcess;
  /** Null where the command runs without one. */
  readonly group: ControlGroup | null;
}

export class ControlGroups {
  /** The folder that they are made in; null where there are none. */
  readonly base: string | null;
  readonly #token: string;
  readonly #complain: (line: string) => void;
  #made = 0;
  #complained = false;
  /** We could not leave a group any more: whatever is started from now on is in there with us. */
  #stuck = false;

  /** @param complain told once why runs have no group of their own though they could be expected to */
  constructor(token: string, complain: (line: string) => void) {
    this.#token = token;
    this.#complain = complain;
    this.base = this.#find();
  }

  /** Calls `start` inside of a new group; without one where none can be made. Throws what `start` throws. */
  spawn(start: () => ChildProcess): Spawned {
    const folder = this.#enter();
    if (folder === null) return { child: start(), group: null };
    const group = new ControlGroup(folder);
    let child: ChildProcess | null = null;
    try {
      child = start();
    } finally {
      const left = this.#leave(folder);
      // Also where nothing was started. It is empty then, so it takes no time.
      if (left && child?.pid === undefined) void group.end();
    }
    return { child, group: this.#stuck ? null : group };
  }

  #find(): string | null {
    const { base } = ownGroup();
    if (base === null) return null;
    try {
      removeLeftovers(base);
      proveGroup(base, groupName(this.#token, 0));
      return base;
    } catch (error) {
      this.#say(error);
      return null;
    }
  }

  #enter(): string | null {
    if (this.base === null || this.#stuck) return null;
    const folder = join(this.base, groupName(this.#token, ++this.#made));
    try {
      makeAndEnter(folder);
      return folder;
    } catch (error) {
      this.#say(error);
      void new ControlGroup(folder).end();
      return null;
    }
  }

  /** @returns false where we are still in it: it must not be ended then, and no other is made */
  #leave(folder: string): boolean {
    try {
      moveInto(this.base!);
      return true;
    } catch (error) {
      this.#stuck = true;
      this.#say(new Error(`can't leave ${folder} again: ${messageOf(error)}`));
      return false;
    }
  }

  #say(error: unknown): void {
    if (this.#complained) return;
    this.#complained = true;
    this.#complain(`commands run without a control group of their own: ${messageOf(error)}`);
  }
}

/** Another keeper of this worker removes what is empty when it comes up: once, so a second try is enough. */
function makeAndEnter(folder: string): void {
  mkdirSync(folder);
  try {
    moveInto(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    mkdirSync(folder);
    moveInto(folder);
  }
}

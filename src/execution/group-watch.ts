/**
 * Is a process group still alive? Many that end together share each look at all processes: with a look of its own for
 * every question, 130 commands that ended at once kept the keeper busy for 6 s.
 */
import { exists, livingGroups } from './processes.js';

/** After a look that took a while, three times as long goes by until the next: a quarter of a processor at most. */
const REST = 3;

export class GroupWatch {
  #waiting: Array<(groups: Set<number>) => void> = [];
  #notBefore = 0;

  /** True while the group has a member that is not a zombie, seen by a look that began after the question. */
  async alive(group: number): Promise<boolean> {
    if (!exists(-group)) return false; // the common case, and free
    const groups = await this.#nextLook();
    return groups.has(group);
  }

  #nextLook(): Promise<Set<number>> {
    return new Promise((done) => {
      this.#waiting.push(done);
      if (this.#waiting.length === 1) setTimeout(() => this.#look(), Math.max(0, this.#notBefore - performance.now()));
    });
  }

  #look(): void {
    const began = performance.now();
    const groups = livingGroups();
    const ended = performance.now();
    this.#notBefore = ended + REST * (ended - began);
    for (const done of this.#waiting.splice(0)) done(groups);
  }
}

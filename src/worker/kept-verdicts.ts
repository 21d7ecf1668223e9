/**
 * Keeps on disk what has ended and could not be written to the database soon: killed before the database is back, the
 * worker would lose it. Not every attempt: an fsync each would halve the rate, and nearly all are settled in some ms.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../core/errors.js';
import { monotonic, within } from '../execution/clock.js';
import type { Log } from '../log.js';
import type { Settlement } from '../queue/settle.js';
import { fileNameOf, type KeptVerdict, type Origin, writeVerdicts } from './verdict-file.js';

export interface KeptVerdictsParts {
  /** Made when it is needed. */
  readonly dir: string;
  readonly origin: Origin;
  readonly workerId: string;
  readonly instance: string;
  /** What has ended and is not written yet. The folder follows it. */
  readonly unsettled: () => Settlement[];
  readonly log: Log;
}

/** An attempt that is still unsettled at the second look after its end is kept: 150 to 300 ms after it. */
const LOOK_MS = 150;
/** A disk that would not take them is asked again after so long. */
const RETRY_MS = 5000;
/** Files that one sync of their folder makes last. */
const BATCH = 32;
const CLOSE_MS = 5000;

export class KeptVerdicts {
  readonly #parts: KeptVerdictsParts;
  /** Unsettled at the look before. */
  #before = new Set<string>();
  readonly #written = new Set<string>();
  #timer: NodeJS.Timeout | undefined;
  #look: Promise<void> | null = null;
  #retryAt = 0;
  #failed = false;
  #closed = false;

  constructor(parts: KeptVerdictsParts) {
    this.#parts = parts;
  }

  /** An attempt has ended. */
  watch(): void {
    if (this.#timer || this.#look || this.#closed) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#look = this.#follow(false).then(() => {
        this.#look = null;
        if (this.#written.size > 0 || this.#parts.unsettled().length > 0) this.watch();
      });
    }, LOOK_MS);
    this.#timer.unref(); // whoever leaves closes
  }

  /**
   * The worker leaves: what is still unsettled is kept, however young. A disk that hangs is waited for 5 s.
   * @returns the issues whose outcomes are on disk and not in the database
   */
  async close(): Promise<number[]> {
    this.#closed = true;
    clearTimeout(this.#timer);
    const last = (this.#look ?? Promise.resolve()).then(() => this.#follow(true));
    if (!(await within(last, CLOSE_MS)))
      this.#parts.log.warn(`the disk does not take what is to be kept in ${this.#parts.dir}; leaving without it`);
    return this.#parts
      .unsettled()
      .filter((one) => this.#written.has(fileNameOf(one)))
      .map(({ id }) => id);
  }

  /** Writes what is overdue, removes what is settled. Never rejects. */
  async #follow(all: boolean): Promise<void> {
    const unsettled = new Map(this.#parts.unsettled().map((one) => [fileNameOf(one), one]));
    const due = [...unsettled].filter(([name]) => !this.#written.has(name) && (all || this.#before.has(name)));
    this.#before = new Set(unsettled.keys());
    if (due.length > 0 && (all || monotonic() >= this.#retryAt)) await this.#write(due.map(([, one]) => one));
    await this.#removeSettled();
  }

  async #write(settlements: readonly Settlement[]): Promise<void> {
    const { dir, log } = this.#parts;
    try {
      for (let at = 0; at < settlements.length; at += BATCH) {
        const batch = settlements.slice(at, at + BATCH);
        await writeVerdicts(
          dir,
          batch.map((one) => this.#kept(one)),
        );
        for (const one of batch) this.#written.add(fileNameOf(one));
      }
      this.#failed = false;
    } catch (error) {
      this.#retryAt = monotonic() + RETRY_MS;
      if (this.#failed) return;
      this.#failed = true;
      log.warn(
        `outcomes that can't be written to the database yet can't be kept in ${dir} either (${messageOf(error)}); ` +
          'they are in memory only until one of the two works again',
      );
    }
  }

  #kept(settlement: Settlement): KeptVerdict {
    const { origin, workerId, instance } = this.#parts;
    const { verdict } = settlement;
    if (verdict.action === 'nothing') throw new Error('nothing is to be written for it');
    const at = new Date().toISOString();
    return { ...origin, worker: workerId, instance, at, settlement: { ...settlement, verdict } };
  }

  async #removeSettled(): Promise<void> {
    const { dir, unsettled, log } = this.#parts;
    const open = new Set(unsettled().map(fileNameOf));
    for (const name of [...this.#written].filter((each) => !open.has(each))) {
      this.#written.delete(name);
      // A file that stays does no harm: whoever delivers it hears that it is written.
      await rm(join(dir, name), { force: true }).catch((error) => log.debug(messageOf(error)));
    }
  }
}

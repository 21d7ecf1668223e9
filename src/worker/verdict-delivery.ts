/**
 * Writes to the database what a dead worker has left on disk. The token decides whether the attempt is still its own,
 * not the time of its lease: an hour's success that nobody has taken meanwhile is written half an hour late.
 */
import { readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../core/errors.js';
import type { Queryable } from '../db/connect.js';
import type { Log } from '../log.js';
import { reclassify } from '../queue/rescue.js';
import { type Settlement, settledOrHeld } from '../queue/settle.js';
import { settleOne } from './settle-one.js';
import { isVerdictName, type KeptVerdict, type Origin, readVerdict } from './verdict-file.js';

/** What a file that is no verdict is renamed to end with: kept for a person to look at, read no more. */
const ASIDE = '.bad';
/** What opening a link and a socket fails with. Every other error of the system says nothing of what the file holds. */
const NO_FILE = new Set(['ELOOP', 'ENXIO']);

export class VerdictDelivery {
  readonly #db: Queryable;
  readonly #origin: Origin;
  readonly #log: Log;
  readonly #onParked: (ms: number) => void;
  /** What a person was told already, by path. */
  readonly #told = new Set<string>();

  /** @param onParked told how long a row that was given back has to wait, milliseconds */
  constructor(db: Queryable, origin: Origin, log: Log, onParked: (ms: number) => void) {
    this.#db = db;
    this.#origin = origin;
    this.#log = log;
    this.#onParked = onParked;
  }

  /**
   * Delivers what lies in the folder. Two at once do no harm: one of them hears that it is written.
   * @param from whether the process with that instance token is dead; what a living one keeps it delivers by itself
   * @returns the issues that have to be tried again: locked, refused by the server, or their files can't be read now
   * @throws where the database can't be asked; what was not delivered stays
   */
  async deliver(dir: string, from: (instance: string) => boolean): Promise<number[]> {
    const left: number[] = [];
    for (const name of (await this.#names(dir)).filter(isVerdictName)) {
      const path = join(dir, name);
      const kept = await this.#read(path);
      if (kept === 'unread') left.push(Number.parseInt(name, 10));
      if (!kept || kept === 'unread' || !this.#isOurs(kept) || !from(kept.instance)) continue;
      if (await this.#deliverOne(kept, path)) await this.#remove(path);
      else left.push(kept.settlement.id);
    }
    return left;
  }

  async #names(dir: string): Promise<string[]> {
    try {
      return await readdir(dir);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      const help = code === 'EACCES' ? '; run a worker as the user who wrote them before the lease runs out' : '';
      if (code !== 'ENOENT') this.#tell(dir, `outcomes kept in ${dir} can't be looked for: ${messageOf(error)}${help}`);
      return [];
    }
  }

  /** @returns null where there is no outcome; `unread` where the system would not give it: it may the next time */
  async #read(path: string): Promise<KeptVerdict | null | 'unread'> {
    try {
      return await readVerdict(path);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT') return null; // another worker was faster
      if (code !== undefined && !NO_FILE.has(code)) {
        this.#tell(path, `the outcome kept in ${path} can't be read (${messageOf(error)}); tried again until it can`);
        return 'unread';
      }
      this.#tell(path, `${path} is no outcome of an attempt and is set aside: ${messageOf(error)}`);
      await rename(path, path + ASIDE).catch((why) => this.#log.debug(messageOf(why)));
      return null;
    }
  }

  #isOurs({ database, schema }: KeptVerdict): boolean {
    return database === this.#origin.database && schema === this.#origin.schema;
  }

  /** @returns true where nothing more is to be done about it */
  async #deliverOne({ settlement, worker, at }: KeptVerdict, path: string): Promise<boolean> {
    const { id, outcome, verdict } = settlement;
    const answer = await settleOne(this.#db, settlement, this.#log);
    if (answer.status === 'busy') return false;
    if (answer.status === 'lost') return this.#lost(settlement, worker);
    if (answer.status === 'refused') {
      this.#tell(
        path,
        `issue ${id}: its end (${outcome.kind}) can't be written (${answer.why}); tried again until it can`,
      );
      return false;
    }
    const level = answer.status === 'failed' ? 'warn' : 'info';
    this.#log[level](`issue ${id}: ${answer.status} (the attempt of worker ${worker} was kept on disk since ${at})`);
    if (verdict.action === 'requeue' && verdict.delayMs > 0) this.#onParked(verdict.delayMs);
    return true;
  }

  /** No lease: it was written before, or the attempt was taken away. */
  async #lost(one: Settlement, worker: string): Promise<boolean> {
    const [answer] = await settledOrHeld(this.#db, [one]);
    if (answer?.state === 'held') return false;
    if (answer?.state === 'settled') return true;
    if (one.outcome.kind === 'interrupted') {
      // It was ended in time: what was booked as a crash of its worker was none.
      const [booked] = await reclassify(this.#db, [one]);
      if (booked?.state === 'busy') return false;
    }
    this.#log.warn(
      `issue ${one.id}: the attempt was no longer worker ${worker}'s; its outcome (${one.outcome.kind}), kept on disk, is not written`,
    );
    return true;
  }

  async #remove(path: string): Promise<void> {
    await rm(path, { force: true }).catch((error) =>
      this.#tell(path, `${path} is delivered and can't be removed: ${messageOf(error)}`),
    );
  }

  #tell(what: string, line: string): void {
    if (this.#told.has(what)) return;
    this.#told.add(what);
    this.#log.warn(line);
  }
}

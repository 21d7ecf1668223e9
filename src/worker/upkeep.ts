/** What every worker does for the queue beside its own issues: promotion, rescue, neighbours, old logs. */
import type { Queryable } from '../db/connect.js';
import { failureOf } from '../db/failure.js';
import { monotonic } from '../execution/clock.js';
import type { Log } from '../log.js';
import { promote } from '../queue/promote.js';
import { pruneHistory } from '../queue/prune.js';
import { EARLY } from '../wakes.js';
import type { Neighbours } from './neighbours.js';
import { type Outage, pauseBeforeTry } from './outage.js';
import { pruneIssueLogs, pruneVerdicts } from './prune.js';
import type { Rescuer } from './rescuer.js';
import { Bell } from './wake.js';

export interface UpkeepParts {
  readonly db: Queryable;
  readonly rescuer: Rescuer;
  readonly neighbours: Neighbours;
  readonly outage: Outage;
  readonly log: Log;
  readonly logDir: string;
  readonly issueLogDays: number;
  /** Days that events and attempts are kept, 0 = for ever. */
  readonly historyDays: number;
  /** How often others' rows are looked at where nothing says when, milliseconds. */
  readonly intervalMs: number;
  /** Rows became claimable. */
  readonly onPromoted: () => void;
}

const PROMOTE_LIMIT = 1000;
/** Notifications may come by the hundred: promotion answers at most so often. */
const PROMOTE_EVERY_MS = 250;
/** Looking whether neighbours live costs no query. */
const NEIGHBOURS_MS = 1000;
const PRUNE_MS = 3_600_000;
/** Between two batches of old events and attempts. */
const PRUNE_BATCH_MS = 100;

/** On the monotonic clock: what the process need not be woken for before `until`, and what is done from `from` on if it is awake. */
interface Due {
  readonly from: number;
  readonly until: number;
}

const AT_ONCE: Due = { from: 0, until: 0 };

/** Before that there is nothing to be found. */
function exactlyIn(ms: number): Due {
  const at = monotonic() + ms;
  return { from: at, until: at };
}

function regularlyIn(ms: number): Due {
  const time = monotonic();
  return { from: time + ms * (1 - EARLY), until: time + ms };
}

export class Upkeep {
  readonly #parts: UpkeepParts;
  readonly #bell = new Bell();
  #stopped = false;
  #tries = 0;
  #promotion = AT_ONCE;
  #rescue = AT_ONCE;
  #checkAt = 0;
  #pruneAt: number;
  #historyAt: number;
  /** Where the next batch of old events begins. */
  #historyPlace: string | null = null;

  constructor(parts: UpkeepParts) {
    this.#parts = parts;
    this.#pruneAt = monotonic() + 60_000 * Math.random();
    // Not all workers of a fleet at once: the first to come deletes, the others find nothing.
    this.#historyAt =
      parts.historyDays > 0 ? monotonic() + 60_000 + PRUNE_MS * Math.random() : Number.POSITIVE_INFINITY;
  }

  /** A row was parked, or may have been: promotion is due in `ms` at the latest. */
  promoteIn(ms = PROMOTE_EVERY_MS): void {
    const due = exactlyIn(ms);
    if (due.until >= this.#promotion.until) return;
    this.#promotion = due;
    this.#bell.ring();
  }

  /** Somebody is to be looked after who was not known before. */
  hurry(): void {
    this.#bell.ring();
  }

  stop(): void {
    this.#stopped = true;
    this.#bell.ring();
  }

  /** Resolves when stopped. */
  async run(): Promise<void> {
    while (!this.#stopped) {
      try {
        if (await this.#step()) {
          this.#parts.outage.over('the upkeep');
          this.#tries = 0;
        }
        await this.#rest();
      } catch (error) {
        const failure = failureOf(error);
        if (failure.code === null) throw error; // not the database's: a bug of ours
        this.#parts.outage.failed('the upkeep', failure, () => this.#bell.ring());
        this.#promotion = AT_ONCE;
        this.#tries += 1;
        await this.#bell.sleep(pauseBeforeTry(this.#tries, Math.random()));
      }
    }
  }

  async #rest(): Promise<void> {
    // Whoever is alone has nothing to look at, and is not to wake for it.
    const checkAt = this.#parts.neighbours.alone ? Number.POSITIVE_INFINITY : this.#checkAt;
    const until = Math.min(this.#promotion.until, this.#rescue.until, checkAt, this.#pruneAt, this.#historyAt);
    const from = Math.min(this.#promotion.from, this.#rescue.from, until);
    await this.#bell.sleep(until - monotonic(), until - from);
  }

  /** @returns true where the database was asked and has answered: most rounds only look whether neighbours live */
  async #step(): Promise<boolean> {
    const { rescuer, neighbours, intervalMs } = this.#parts;
    const time = monotonic();
    const asks = time >= Math.min(this.#promotion.from, this.#rescue.from);
    if (time >= this.#promotion.from) await this.#promote();
    if (time >= this.#rescue.from) {
      await neighbours.refresh();
      await rescuer.look();
      const ripeMs = Math.max(100, rescuer.nextMs);
      this.#rescue = ripeMs < intervalMs ? exactlyIn(ripeMs) : regularlyIn(intervalMs);
    }
    if (time >= this.#checkAt && !neighbours.alone) {
      this.#checkAt = monotonic() + NEIGHBOURS_MS;
      // Not waited for: the dead one's helpers may take their grace, and promotion goes on meanwhile.
      void neighbours.check().catch((error) => this.#parts.log.debug(`neighbours: ${failureOf(error).message}`));
    }
    if (time >= this.#pruneAt) await this.#prune();
    if (time >= this.#historyAt) await this.#pruneHistory();
    return asks;
  }

  async #promote(): Promise<void> {
    const { intervalMs } = this.#parts;
    // What is parked while the answer is under way may bring this forward (`promoteIn`).
    this.#promotion = regularlyIn(intervalMs);
    const { promoted, nextMs } = await promote(this.#parts.db, PROMOTE_LIMIT);
    if (promoted > 0) this.#parts.onPromoted();
    const due = exactlyIn(promoted === PROMOTE_LIMIT ? 0 : Math.max(0, nextMs ?? Number.POSITIVE_INFINITY));
    if (due.until < this.#promotion.until) this.#promotion = due;
  }

  async #pruneHistory(): Promise<void> {
    this.#historyAt = monotonic() + PRUNE_MS;
    try {
      const step = await pruneHistory(this.#parts.db, this.#parts.historyDays, this.#historyPlace);
      this.#historyPlace = step.next;
      if (step.next !== null) this.#historyAt = monotonic() + PRUNE_BATCH_MS;
    } catch (error) {
      // A role without the right to, say, is no reason to stop rescuing.
      this.#parts.log.warn(`old events and attempts can't be deleted: ${failureOf(error).message}`);
    }
  }

  async #prune(): Promise<void> {
    const { db, log, logDir, issueLogDays } = this.#parts;
    this.#pruneAt = monotonic() + PRUNE_MS;
    try {
      await pruneVerdicts(logDir, issueLogDays);
      const removed = await pruneIssueLogs(db, logDir, issueLogDays);
      if (removed > 0) log.info(`removed the output of ${removed} issues that ended over ${issueLogDays} days ago`);
    } catch (error) {
      // A folder that can't be read or removed is no reason to stop rescuing.
      log.warn(`old issue logs can't be removed: ${failureOf(error).message}`);
    }
  }
}

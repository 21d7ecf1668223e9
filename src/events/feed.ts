/**
 * Events as they come, for any number of readers in one process: one LISTEN, one mark, and one query at a time for all
 * who wait. Readers pull: one that is slow holds a page and asks for no more, so memory does not grow with what it misses.
 */
import { randomUUID } from 'node:crypto';
import { type IssueEvent, placeOf } from '../core/event.js';
import { connect, type Database } from '../db/connect.js';
import { failureOf } from '../db/failure.js';
import { writersOlderThan } from '../db/horizon.js';
import { type Listener, listen } from '../db/listen.js';
import { Condition } from '../log/condition.js';
import type { Log } from '../log.js';
import { AllReader, Asking, IssueReader } from './asking.js';
import { MARK_EVERY_MS, markReading, unmarkReading } from './readers.js';
import { restamp } from './restamp.js';

export interface EventFeed {
  /**
   * The events of all issues after a cursor, null: from now on. Each once, in order; never ends by itself.
   * @param options.output false: without those of kind `output`
   * @throws CapeError `usage` for a cursor that is none
   */
  all(
    after: string | null,
    signal: AbortSignal,
    options?: { readonly output?: boolean },
  ): AsyncIterable<readonly IssueEvent[]>;
  /** One issue's events after a number, -1: `queued` too. Ends when the issue has ended (or is gone) and all was given. */
  issue(id: number, after: number, signal: AbortSignal): AsyncIterable<readonly IssueEvent[]>;
  /** Ends all streams and closes the connections. */
  close(): Promise<void>;
}

export interface FeedOptions {
  readonly databaseUrl: string;
  /** Where LISTEN works, if not there. */
  readonly listenUrl?: string | undefined;
  readonly schema: string;
  readonly applicationName: string;
  readonly log: Log;
}

/** Between two rounds of questions, however often is notified; and at least so many times what the last round took. */
const THROTTLE_MS = 20;
const THROTTLE_TIMES = 2;
/** Where nothing is heard, or somebody may still write who has not seen our mark. */
const POLL_MS = 1000;
/** Where notifications come: in case that one is lost after all. */
const HEARING_POLL_MS = 10_000;
/** Where events are there and not to be shown yet. */
const HELD_FIRST_MS = 20;
const HELD_LAST_MS = 250;
const RETRY_LAST_MS = 10_000;
/** Nobody reads any more: after so long neither mark nor LISTEN is kept. */
const IDLE_MS = 30_000;
/** For the last round and the mark, at the end; to close connections takes two seconds more at most. */
const CLOSE_MS = 500;

/** Opens no connection before somebody reads. */
export function openFeed(options: FeedOptions): EventFeed {
  return new SharedFeed(options);
}

class SharedFeed implements EventFeed {
  readonly #options: FeedOptions;
  readonly #db: Database;
  readonly #id = randomUUID();
  readonly #asking: Asking;
  readonly #closing = new AbortController();
  readonly #condition: Condition;
  #listener: Listener | null = null;
  #readers = 0;
  #stamped = false;
  #round: Promise<void> | null = null;
  /** Asked for while a round was under way. */
  #again = Number.POSITIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;
  #dueAt = Number.POSITIVE_INFINITY;
  /** No round before. */
  #notBefore = 0;
  #heldMs = 0;
  #failures = 0;
  #markedAt = Number.NEGATIVE_INFINITY;
  /** Transactions from this one on have seen our mark; null: none is needed to, or there is no mark. */
  #horizon: string | null = null;
  #idleAt = Number.POSITIVE_INFINITY;

  constructor(options: FeedOptions) {
    const { databaseUrl: url, schema, applicationName, log } = options;
    this.#options = options;
    this.#db = connect({ url, schema, applicationName });
    this.#asking = new Asking(this.#db, () => this.#soon(0));
    this.#condition = new Condition(log, 'events can not be read; tried again', 'events are read again');
  }

  all(after: string | null, signal: AbortSignal, { output = true }: { readonly output?: boolean } = {}) {
    if (after !== null) placeOf(after);
    return this.#read(new AllReader(this.#asking, after, output), signal);
  }

  issue(id: number, after: number, signal: AbortSignal) {
    return this.#read(new IssueReader(this.#asking, id, after), signal);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    clearTimeout(this.#timer);
    // A database that does not answer lets each of the two wait for 15 s.
    let patience: NodeJS.Timeout | undefined;
    await Promise.race([
      this.#leaveOff(),
      new Promise<void>((resolve) => {
        patience = setTimeout(resolve, CLOSE_MS);
      }),
    ]);
    clearTimeout(patience);
    await Promise.all([this.#listener?.close(), this.#db.close()]);
  }

  async #leaveOff(): Promise<void> {
    await this.#round;
    if (this.#markedAt > 0) await unmarkReading(this.#db, this.#id).catch(() => {}); // it runs out by itself
  }

  async *#read(reader: AllReader | IssueReader, signal: AbortSignal): AsyncIterable<readonly IssueEvent[]> {
    const end = AbortSignal.any([signal, this.#closing.signal]);
    this.#enter();
    try {
      while (!end.aborted) {
        const answer = await reader.next(end);
        if (answer === null) return;
        if (answer.events.length > 0) yield answer.events;
        if (answer.over) return;
      }
    } finally {
      this.#leave();
    }
  }

  #enter(): void {
    this.#readers += 1;
    this.#idleAt = Number.POSITIVE_INFINITY;
    const { databaseUrl, listenUrl, applicationName } = this.#options;
    const where = listenUrl === undefined ? { url: databaseUrl } : { url: listenUrl, speakUrl: databaseUrl };
    this.#listener ??= listen({ ...where, applicationName }, 'cape_events', {
      notify: () => this.#soon(0),
      listening: () => this.#soon(0),
    });
  }

  #leave(): void {
    this.#readers -= 1;
    if (this.#readers > 0) return;
    this.#idleAt = performance.now() + IDLE_MS;
    this.#soon(IDLE_MS);
  }

  /** A round in `ms` at the latest. */
  #soon(ms: number): void {
    if (this.#closing.signal.aborted || this.#round) {
      // The round that runs may have asked before what we are told of now.
      this.#again = Math.min(this.#again, ms);
      return;
    }
    const now = performance.now();
    const at = Math.max(now + ms, this.#notBefore);
    if (at >= this.#dueAt) return;
    this.#dueAt = at;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#begin(), Math.max(0, at - now));
  }
  #begin(): void {
    this.#dueAt = Number.POSITIVE_INFINITY;
    this.#again = Number.POSITIVE_INFINITY;
    this.#round = this.#go().then((nextMs) => {
      this.#round = null;
      this.#soon(Math.min(nextMs, this.#again));
    });
  }

  /** @returns when to look again where nothing is heard, milliseconds */
  async #go(): Promise<number> {
    const began = performance.now();
    if (this.#readers === 0) return this.#rest(began);
    try {
      await this.#stamp();
      await this.#mark(began);
      const { full, held } = await this.#asking.round();
      this.#failures = 0;
      this.#condition.fine();
      const took = performance.now() - began;
      this.#notBefore = full ? 0 : performance.now() + Math.max(THROTTLE_MS, THROTTLE_TIMES * took);
      this.#heldMs = held ? Math.min(HELD_LAST_MS, Math.max(HELD_FIRST_MS, this.#heldMs * 2)) : 0;
      if (full) return 0;
      const poll = this.#listener?.hears && this.#horizon === null ? HEARING_POLL_MS : POLL_MS;
      return held ? this.#heldMs : poll;
    } catch (error) {
      if (this.#closing.signal.aborted) return RETRY_LAST_MS;
      this.#condition.failed(failureOf(error).message);
      this.#failures += 1;
      const ms = Math.min(RETRY_LAST_MS, 100 * 2 ** this.#failures) * (0.8 + 0.4 * Math.random());
      this.#notBefore = performance.now() + ms;
      return ms;
    }
  }

  /** Nobody reads: what others pay for our hearing is given up. */
  async #rest(time: number): Promise<number> {
    if (time < this.#idleAt) return this.#idleAt - time;
    const listener = this.#listener;
    this.#listener = null;
    this.#markedAt = Number.NEGATIVE_INFINITY;
    this.#idleAt = Number.POSITIVE_INFINITY; // before we wait: somebody may come and go meanwhile
    await listener?.close();
    await unmarkReading(this.#db, this.#id).catch(() => {}); // it runs out by itself
    return Number.POSITIVE_INFINITY;
  }

  /** Once. A role that may only read leaves it to the next worker that starts. */
  async #stamp(): Promise<void> {
    if (this.#stamped) return;
    await restamp(this.#db).catch((error) => {
      if (failureOf(error).kind !== 'permission') throw error;
    });
    this.#stamped = true;
  }

  async #mark(time: number): Promise<void> {
    if (!this.#listener?.hears) return;
    if (time >= this.#markedAt + MARK_EVERY_MS) {
      const first = time >= this.#markedAt + 2 * MARK_EVERY_MS;
      try {
        const horizon = await markReading(this.#db, this.#id);
        if (first) this.#horizon = horizon;
        this.#markedAt = time;
      } catch (error) {
        // A role that may only read: nobody notifies for its sake, and it polls.
        if (failureOf(error).kind !== 'permission') throw error;
        this.#horizon = LARGEST_XID;
        this.#markedAt = Number.POSITIVE_INFINITY;
      }
    }
    // Asked before the events are: what the last of them wrote is then among these.
    if (this.#horizon !== null && this.#horizon !== LARGEST_XID && !(await writersOlderThan(this.#db, this.#horizon)))
      this.#horizon = null;
  }
}

/** No transaction gets there: stands for "nobody sees our mark". */
const LARGEST_XID = '18446744073709551615';

/** Writing back what has ended, whatever happens to the statement that does it. */
import type { Queryable } from '../db/connect.js';
import { failureOf } from '../db/failure.js';
import { now } from '../execution/clock.js';
import type { Log } from '../log.js';
import { reclassify } from '../queue/rescue.js';
import { type Held, type Settled, type Settlement, settle, settledOrHeld, stripText } from '../queue/settle.js';
import type { Attempts } from './attempts.js';

/** More at once would make one statement long without making it faster. */
const BATCH = 500;
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 1000;

export class Settler {
  readonly #db: Queryable;
  readonly #attempts: Attempts;
  readonly #log: Log;
  readonly #onParked: (ms: number) => void;
  /** Rows that somebody else had locked, and when to try again. */
  #busyUntil = 0;
  #pause = FIRST_PAUSE_MS;
  readonly #busy = new Set<string>();
  /** Sent, and no answer came: asked about before anything is sent again. */
  #unclear: readonly Settlement[] = [];
  /** Interrupted by ourselves and lost meanwhile: to be booked as no crash. */
  #late: Held[] = [];

  /** @param onParked told how long a row that was given back has to wait, milliseconds */
  constructor(db: Queryable, attempts: Attempts, log: Log, onParked: (ms: number) => void) {
    this.#onParked = onParked;
    this.#db = db;
    this.#attempts = attempts;
    this.#log = log;
  }

  /** What can be written now. */
  due(time: number): Settlement[] {
    const all = this.#attempts.unsettled();
    return (time < this.#busyUntil ? all.filter((one) => !this.#busy.has(one.token)) : all).slice(0, BATCH);
  }

  /** When locked rows are tried again, on the monotonic clock. */
  get nextAt(): number {
    return this.#busy.size > 0 ? this.#busyUntil : Number.POSITIVE_INFINITY;
  }

  /**
   * Runs a statement that settles, and takes its answer in.
   * @returns its answer; null where one row could not be written and they were settled one by one instead
   */
  async settleWith<A extends { readonly settled: readonly Settled[] }>(
    send: (settlements: readonly Settlement[]) => Promise<A>,
  ): Promise<A | null> {
    await this.#askAboutUnclear();
    const settlements = this.due(now().mono);
    try {
      const answer = await send(settlements);
      await this.#take(settlements, answer.settled);
      return answer;
    } catch (error) {
      const failure = failureOf(error);
      if (failure.unclear) this.#unclear = settlements;
      if (failure.kind !== 'data' || settlements.length === 0) throw error;
      for (const one of settlements) await this.#settleOne(one);
      return null;
    }
  }

  /** A row that can't be written must not take its neighbours along. At the last it is written without its texts. */
  async #settleOne(one: Settlement): Promise<void> {
    try {
      await this.#take([one], await settle(this.#db, [one]));
    } catch (error) {
      if (failureOf(error).kind !== 'data') throw error;
      this.#log.warn(
        `issue ${one.id}: its texts can't be stored (${failureOf(error).message}); the outcome is kept without them`,
      );
      await this.#take([one], await settle(this.#db, [stripText(one)]));
    }
  }

  /** A blind retry would find no lease and take "done" for "lost". */
  async #askAboutUnclear(): Promise<void> {
    if (this.#unclear.length === 0) return;
    const answers = await settledOrHeld(this.#db, this.#unclear);
    for (const { id, token, state } of answers) {
      if (state === 'settled') this.#attempts.settled(id, token);
    }
    this.#unclear = [];
  }

  async #take(sent: readonly Settlement[], settled: readonly Settled[]): Promise<void> {
    const states = new Map(settled.map(({ id, status }) => [id, status]));
    const late: Settlement[] = [];
    for (const one of sent) {
      const status = states.get(one.id) ?? 'lost';
      if (status === 'busy') {
        this.#busy.add(one.token);
        continue;
      }
      this.#busy.delete(one.token);
      this.#attempts.settled(one.id, one.token);
      if (status === 'lost') late.push(one);
      else this.#log.info(`issue ${one.id}: ${status}${pauseText(one)}`);
      if (one.verdict.action === 'requeue' && one.verdict.delayMs > 0) this.#onParked(one.verdict.delayMs);
    }
    this.#busyUntil = now().mono + this.#pause;
    this.#pause = this.#busy.size > 0 ? Math.min(LONGEST_PAUSE_MS, this.#pause * 2) : FIRST_PAUSE_MS;
    await this.#reportLate(late);
  }

  /** We ended these ourselves, in time, because we could not renew: that was an outage and no crash of the worker. */
  async #reportLate(late: readonly Settlement[]): Promise<void> {
    for (const one of late) {
      this.#log.warn(
        `issue ${one.id}: the attempt was no longer ours; its outcome (${one.outcome.kind}) is not written`,
      );
    }
    const interrupted = late.filter((one) => one.outcome.kind === 'interrupted');
    this.#late.push(...interrupted.map(({ id, token }) => ({ id, token })));
    if (this.#late.length === 0) return;
    const answers = await reclassify(this.#db, this.#late);
    this.#late = answers.filter(({ state }) => state === 'busy').map(({ id, token }) => ({ id, token }));
  }
}

function pauseText(one: Settlement): string {
  if (one.verdict.action !== 'requeue' || one.verdict.delayMs === 0) return '';
  return `, next attempt in ${(one.verdict.delayMs / 1000).toFixed(1)} s`;
}

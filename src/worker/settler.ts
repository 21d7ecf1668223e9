/** Writing back what has ended, whatever happens to the statement that does it. */
import type { Queryable } from '../db/connect.js';
import { failureOf } from '../db/failure.js';
import { monotonic } from '../execution/clock.js';
import type { Log } from '../log.js';
import { reclassify } from '../queue/rescue.js';
import { type Held, type Settled, type Settlement, settledOrHeld } from '../queue/settle.js';
import type { Attempts } from './attempts.js';
import { isRefusal, settleOne } from './settle-one.js';

/** Twice as many as are claimed at once; 2,000 were no faster. */
const BATCH = 1000;
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 1000;

export class Settler {
  readonly #db: Queryable;
  readonly #attempts: Attempts;
  readonly #log: Log;
  readonly #onParked: (ms: number) => void;
  readonly #onSettled: (one: Settlement, isLost: boolean) => void;
  readonly #before: (settlements: readonly Settlement[]) => Promise<void> | null;
  /** Rows that somebody else had locked (by id: a token is shared by all of one claim), and when to try again. */
  #busyUntil = 0;
  #pause = FIRST_PAUSE_MS;
  readonly #busy = new Set<number>();
  /** What the server would not write, and a person was told. */
  readonly #refused = new Set<number>();
  /** Sent, and no answer came: asked about before anything is sent again. */
  #unclear: readonly Settlement[] = [];
  /** Ended and lost meanwhile, while this worker lived: to be booked as no crash. */
  #late: Held[] = [];
  #reportAt = 0;

  /**
   * @param onParked told how long a row that was given back has to wait, milliseconds
   * @param onSettled told of what has been written, and of what was no longer ours to write
   * @param before what has to be written first is waited for
   */
  constructor(
    db: Queryable,
    attempts: Attempts,
    log: Log,
    onParked: (ms: number) => void,
    onSettled: (one: Settlement, isLost: boolean) => void = () => {},
    before: (settlements: readonly Settlement[]) => Promise<void> | null = () => null,
  ) {
    this.#before = before;
    this.#onSettled = onSettled;
    this.#onParked = onParked;
    this.#db = db;
    this.#attempts = attempts;
    this.#log = log;
  }

  /** What can be written now. */
  due(time: number): Settlement[] {
    const all = this.#attempts.unsettled();
    return (time < this.#busyUntil ? all.filter((one) => !this.#busy.has(one.id)) : all).slice(0, BATCH);
  }

  /** How many were locked, or refused, when they were last tried. */
  get putOff(): number {
    return this.#busy.size;
  }

  /** When locked rows are tried again, or late reports made, on the monotonic clock. */
  get nextAt(): number {
    const settleAt = this.#busy.size > 0 ? this.#busyUntil : Number.POSITIVE_INFINITY;
    return this.#late.length > 0 ? Math.min(settleAt, this.#reportAt) : settleAt;
  }

  /** True where `reportLate` has something to say. */
  reportDue(time: number): boolean {
    return this.#late.length > 0 && this.#reportAt <= time;
  }

  /**
   * Their commands had ended, by themselves or by us because we could not renew: that was an outage and no crash of the
   * worker.
   * A statement of its own, sent by itself: were it part of taking an answer in, its failure would lose the claims that
   * came with that answer.
   */
  async reportLate(): Promise<void> {
    const answers = await reclassify(this.#db, this.#late).catch((error) => {
      const failure = failureOf(error);
      if (!isRefusal(failure)) throw error;
      const which = this.#late.map(({ id }) => id).join(', ');
      this.#log.error(`issue ${which}: an interruption stays booked as a crash (${failure.message})`);
      return [];
    });
    this.#late = answers.filter(({ state }) => state === 'busy').map(({ id, token }) => ({ id, token }));
    this.#reportAt = monotonic() + LONGEST_PAUSE_MS;
  }

  /**
   * Runs a statement that settles, and takes its answer in.
   * @returns its answer; null where one row could not be written and they were settled one by one instead
   */
  async settleWith<A extends { readonly settled: readonly Settled[] }>(
    send: (settlements: readonly Settlement[]) => Promise<A>,
  ): Promise<A | null> {
    await this.#askAboutUnclear();
    const settlements = this.due(monotonic());
    await this.#before(settlements);
    try {
      const answer = await send(settlements);
      this.#take(settlements, answer.settled);
      return answer;
    } catch (error) {
      const failure = failureOf(error);
      if (failure.unclear) this.#unclear = settlements;
      if (!isRefusal(failure) || settlements.length === 0) throw error;
      this.#unclear = settlements; // until each has been heard of
      for (const one of settlements) await this.#settleOne(one);
      this.#unclear = [];
      return null;
    }
  }

  /** A row that can't be written must not take its neighbours along: it is tried without its texts, then put off. */
  async #settleOne(one: Settlement): Promise<void> {
    const answer = await settleOne(this.#db, one, this.#log);
    if (answer.status === 'refused') this.#refuse(one, answer.why);
    else this.#take([one], [{ id: one.id, status: answer.status }]);
  }

  /** A constraint or a trigger of somebody's own: only a person can help, and everybody else's issues go on. */
  #refuse(one: Settlement, why: string): void {
    if (!this.#refused.has(one.id))
      this.#log.error(
        `issue ${one.id}: its end (${one.outcome.kind}) can't be written (${why}); tried again until it can`,
      );
    this.#refused.add(one.id);
    this.#putOff(one.id);
  }

  /** A blind retry would find no lease and take "done" for "lost". */
  async #askAboutUnclear(): Promise<void> {
    if (this.#unclear.length === 0) return;
    const answers = await settledOrHeld(this.#db, this.#unclear);
    const settled = new Set(answers.filter(({ state }) => state === 'settled').map(({ id }) => id));
    for (const one of this.#unclear.filter(({ id }) => settled.has(id))) {
      this.#forget(one.id, one.token);
      this.#onSettled(one, false);
      this.#park(one);
    }
    this.#unclear = [];
  }

  #forget(id: number, token: string): void {
    this.#busy.delete(id);
    this.#refused.delete(id);
    this.#attempts.settled(id, token);
  }

  #park({ verdict }: Settlement): void {
    if (verdict.action === 'requeue' && verdict.delayMs > 0) this.#onParked(verdict.delayMs);
  }

  #take(sent: readonly Settlement[], settled: readonly Settled[]): void {
    const states = new Map(settled.map(({ id, status }) => [id, status]));
    for (const one of sent) {
      const status = states.get(one.id) ?? 'lost';
      if (status === 'busy') {
        this.#putOff(one.id);
        continue;
      }
      this.#forget(one.id, one.token);
      if (status === 'lost') this.#lost(one);
      else this.#written(one, status);
      this.#park(one);
    }
    if (this.#busy.size === 0) this.#pause = FIRST_PAUSE_MS;
  }

  #written(one: Settlement, status: string): void {
    if (!this.#log.deaf)
      this.#log[status === 'failed' ? 'warn' : 'info'](`issue ${one.id}: ${status}${pauseText(one)}`);
    this.#onSettled(one, false);
  }

  /** For later. Others that are put off, or settled, meanwhile must not push the time away: it would never come. */
  #putOff(id: number): void {
    this.#busy.add(id);
    const time = monotonic();
    if (time < this.#busyUntil) return;
    this.#busyUntil = time + this.#pause;
    this.#pause = Math.min(LONGEST_PAUSE_MS, this.#pause * 2);
  }

  #lost(one: Settlement): void {
    this.#log.warn(`issue ${one.id}: the attempt was no longer ours; its outcome (${one.outcome.kind}) is not written`);
    this.#onSettled(one, true);
    // A keeper that died is a crash, whoever books it.
    if (one.outcome.kind === 'crashed') return;
    this.#late.push({ id: one.id, token: one.token });
    this.#reportAt = 0;
  }
}

function pauseText(one: Settlement): string {
  if (one.verdict.action !== 'requeue' || one.verdict.delayMs === 0) return '';
  return `, next attempt in ${(one.verdict.delayMs / 1000).toFixed(1)} s`;
}

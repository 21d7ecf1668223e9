/**
 * Settles on a connection of its own what handlers have left, while the claim loop claims on another. Settling 250 issues
 * takes Postgres twice as long as claiming them, and handlers of no cost run through these in the meantime: with one
 * statement after the other, each of the two processors waits for its turn. Ten strict slots: 145 us an issue by one
 * statement that does both, 110 by two that do not wait for each other; batches of 250: 51 and 38.
 *
 * Commands have no such loop: theirs are settled by the statement that claims the next, which is one commit less.
 */
import type { Queryable } from '../db/connect.js';
import { failureOf } from '../db/failure.js';
import { monotonic } from '../execution/clock.js';
import { settle } from '../queue/settle.js';
import { type Outage, pauseBeforeTry } from './outage.js';
import type { Settler } from './settler.js';
import { Bell } from './wake.js';

export interface SettleLoopParts {
  readonly db: Queryable;
  readonly settler: Settler;
  readonly outage: Outage;
  /** Called when something has been settled, or found out to be lost. */
  readonly onSettled: () => void;
}

const WHO = 'the settlements';
/**
 * A statement costs the server 0.5 ms whatever its rows: after one with fewer than so many, ends are gathered for half the
 * time that it took. Ten strict slots: 5.8 without, 6.7 k issues/s with it (6.3 where it is the whole time). Batches of
 * hundreds only lose by it.
 */
const FEW = 64;
const LONGEST_GATHERING_MS = 20;

export class SettleLoop {
  readonly #parts: SettleLoopParts;
  readonly #bell = new Bell();
  #stopped = false;
  #prepared = false;
  #tries = 0;

  constructor(parts: SettleLoopParts) {
    this.#parts = parts;
  }

  /**
   * Something was claimed: logs in, and has the statement planned (15 ms), before it has ended. Not sooner: who has nothing
   * to do needs no connection for it. What is wrong with it is said when something has ended.
   */
  prepare(): void {
    if (this.#prepared) return;
    this.#prepared = true;
    void settle(this.#parts.db, []).catch(() => {});
  }

  /** Something has ended. */
  ring(): void {
    this.#bell.ring();
  }

  /** `run` resolves with the statement that is under way. What is not settled then stays as it is. */
  stop(): void {
    this.#stopped = true;
    this.#bell.ring();
  }

  /** @throws what is no failure of the database's: a bug of ours */
  async run(): Promise<void> {
    while (!this.#stopped) {
      try {
        await this.#step();
      } catch (error) {
        const failure = failureOf(error);
        if (failure.code === null) throw error;
        this.#parts.outage.failed(WHO, failure, () => this.#bell.ring());
        await this.#bell.sleep(pauseBeforeTry(this.#tries, Math.random()));
        this.#tries += 1;
      }
    }
  }

  async #step(): Promise<void> {
    const { db, settler, outage, onSettled } = this.#parts;
    const time = monotonic();
    const reports = settler.reportDue(time);
    if (reports) await settler.reportLate();
    const ended = settler.due(time).length;
    if (ended > 0) await settler.settleWith(async (ends) => ({ settled: await settle(db, ends) }));
    if (reports || ended > 0) {
      this.#tries = 0;
      outage.over(WHO);
      onSettled();
      if (ended < FEW) await gather((monotonic() - time) / 2);
      return;
    }
    outage.withdraw(WHO);
    await this.#bell.sleep(settler.nextAt - monotonic());
    // What ends in the same turn of the event loop is settled together.
    await new Promise((next) => setImmediate(next));
  }
}

function gather(ms: number): Promise<void> {
  return new Promise((done) => setTimeout(done, Math.min(ms, LONGEST_GATHERING_MS)));
}

/**
 * What a worker does first: deal with what the process before it left. In this order: process trees, known by what they
 * noted on disk; then verdicts, for whose attempts nobody must be charged with a crash; then all other attempts, released
 * at once, with proof that they are dead.
 */
import { type Failure, failureOf } from '../db/failure.js';
import { within } from '../execution/clock.js';
import type { WorkerRow } from '../queue/workers.js';
import type { Neighbours } from './neighbours.js';
import { type Outage, pauseBeforeTry } from './outage.js';
import type { VerdictDelivery } from './verdict-delivery.js';
import { Bell } from './wake.js';

export interface StartRecoveryParts {
  /** The ending of what the process before left running, begun before the database was reached. */
  readonly trees: Promise<void>;
  readonly delivery: VerdictDelivery;
  /** This worker's own folder of verdicts; null where it writes no files. */
  readonly dir: string | null;
  readonly instance: string;
  readonly neighbours: Neighbours;
  /** The process that had this worker id before. */
  readonly previous: WorkerRow | null;
  /** The neighbours have one more, which upkeep is to look at again and again. */
  readonly onRemembered: () => void;
  readonly outage: Outage;
}

/** Verdicts wait so long for the trees: their attempts have ended, and a short lease may run out meanwhile. */
const TREES_MS = 5000;
/** The first claim waits so long for all of it; the rest is done beside the work. */
const FIRST_CLAIM_MS = 10_000;

export class StartRecovery {
  readonly #parts: StartRecoveryParts;
  readonly #over = new AbortController();
  readonly #bell = new Bell();
  #recovered: Promise<void> = Promise.resolve();

  constructor(parts: StartRecoveryParts) {
    this.#parts = parts;
  }

  /**
   * Resolves when claims may begin: all is done, or has taken too long, or the worker is to stop. It goes on by itself until then.
   * @param asked ends it where it stands; what is left is the next one's
   */
  async begin(asked: AbortSignal): Promise<void> {
    const stop = AbortSignal.any([asked, this.#over.signal]);
    const released = this.#recover(stop);
    this.#recovered = released;
    const stopped = new Promise((done) => stop.addEventListener('abort', done, { once: true }));
    if (!stop.aborted) await within(Promise.race([released, stopped]), FIRST_CLAIM_MS);
  }

  /**
   * For a worker that is about to leave because the queue is empty: resolves when this recovery is over and the
   * neighbours have been looked at once, or that takes too long. What lies on disk, or is held by the dead, may be all
   * that is left to do.
   * @throws where the database can't be asked
   */
  async lookRound(): Promise<void> {
    const looked = this.#recovered.then(() => this.#parts.neighbours.lookRound());
    const { signal } = this.#over;
    const over = new Promise((done) => signal.addEventListener('abort', done, { once: true }));
    if (!signal.aborted) await within(Promise.race([looked, over]), FIRST_CLAIM_MS);
  }

  /** The worker is over. */
  end(): void {
    this.#over.abort();
  }

  /** Resolves when the predecessor's attempts are released as far as they can be now. */
  async #recover(stop: AbortSignal): Promise<void> {
    const { trees, neighbours, previous, onRemembered } = this.#parts;
    await within(trees, TREES_MS);
    const left = await this.#deliver();
    await trees; // or two would end the same commands: to some programs a second SIGTERM means "now"
    if (stop.aborted) return;
    if (previous) neighbours.remember(previous);
    await neighbours.check().catch((error) => passing(error)); // upkeep does it again
    if (previous) onRemembered();
    if (left > 0) void this.#deliverAgain(stop);
  }

  async #deliverAgain(stop: AbortSignal): Promise<void> {
    stop.addEventListener('abort', () => this.#bell.ring(), { once: true });
    for (let tries = 0; ; tries++) {
      await this.#bell.sleep(pauseBeforeTry(tries, Math.random()));
      if (stop.aborted || (await this.#deliver()) === 0) return;
    }
  }

  /** @returns how many are left; a database that is away leaves it open, and counts as one */
  async #deliver(): Promise<number> {
    const { delivery, dir, instance, outage } = this.#parts;
    if (dir === null) return 0;
    try {
      const left = await delivery.deliver(dir, (other) => other !== instance);
      outage.over('the recovery');
      return left.length;
    } catch (error) {
      outage.failed('the recovery', passing(error), () => this.#bell.ring());
      return 1;
    }
  }
}

/** @throws what is no failure of the database: a bug of ours */
function passing(error: unknown): Failure {
  const failure = failureOf(error);
  if (failure.code === null) throw error;
  return failure;
}

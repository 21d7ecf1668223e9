/** The loops that make a worker (queue, settlements of handlers, leases, upkeep), and how they stop together. */
import { CapeError } from '../core/errors.js';
import { within } from '../execution/clock.js';
import type { Log } from '../log.js';
import type { Attempts } from './attempts.js';
import type { ClaimLoop } from './claim-loop.js';
import type { KeptVerdicts } from './kept-verdicts.js';
import type { LeaseKeeper } from './lease-keeper.js';
import type { LoopWatch } from './loop-watch.js';
import type { SettleLoop } from './settle-loop.js';
import type { StartRecovery } from './start-recovery.js';
import type { Upkeep } from './upkeep.js';

/** How long a stopping worker tries to write back what has ended where the database is away. */
const LAST_WORDS_MS = 10_000;

export interface CrewParts {
  readonly workerId: string;
  readonly attempts: Attempts;
  readonly loop: ClaimLoop;
  /** Null where the claim loop settles. */
  readonly settling: SettleLoop | null;
  readonly keeper: LeaseKeeper;
  readonly upkeep: Upkeep;
  readonly watch: LoopWatch;
  readonly recovery: StartRecovery;
  /** Null for a worker that writes no files. */
  readonly kept: KeptVerdicts | null;
  /** How long after its last renewal a lease counts as ours, milliseconds. */
  readonly trustMs: number;
  readonly wasTaken: () => boolean;
  /** Nothing runs any more in a worker that leaves: so long does it still try to write back what it holds, milliseconds. */
  readonly onLastWords: (ms: number) => void;
  readonly disconnect: () => void;
}

/** What renewal and upkeep may take to come to their end: where nobody answers, their deadlines would add up. */
const LAST_STATEMENT_MS = 2000;

/** Runs the loops until the first is done. */
export class Crew {
  readonly #parts: CrewParts;
  #patience: NodeJS.Timeout | undefined;
  #over = false;
  #leaveNow!: () => void;
  /** A handler that never returns can't be killed, and must not keep a worker that is to leave at once. */
  readonly #left = new Promise<void>((done) => {
    this.#leaveNow = done;
  });

  constructor(parts: CrewParts) {
    this.#parts = parts;
  }

  /** Resolves when claims may begin: what the process before left is dealt with, or takes too long. */
  recover(stop: AbortSignal): Promise<void> {
    return this.#parts.recovery.begin(stop);
  }

  /** When nothing runs any more: what could not be written is on disk before this process goes. */
  async keepUnsettled(log: Log): Promise<void> {
    this.#parts.recovery.end();
    const kept = (await this.#parts.kept?.close()) ?? [];
    if (kept.length > 0)
      log.warn(
        `issue ${kept.join(', ')}: the outcome could not be written; it is kept on disk and will be delivered when this ` +
          'worker, or another one on this machine, runs',
      );
  }

  /** What was said before is gone: look at everything. */
  listening(): void {
    this.notified('');
    this.notified('cancel');
  }

  /** Something was said on the channel: rows to look at, or a cancel that a renewal will tell. */
  notified(payload: string): void {
    const { loop, keeper, upkeep } = this.#parts;
    if (payload === 'cancel') keeper.hurry();
    else {
      loop.look();
      upkeep.promoteIn();
    }
  }

  /**
   * The database is another server than before. It may not know the latest claims (asynchronous replication), and their
   * issues may be claimed by others already: the sooner a renewal says so, the sooner their runs are ended.
   */
  moved(): void {
    this.#parts.keeper.hurry();
  }

  drain(): void {
    this.#parts.loop.stop();
    this.#parts.recovery.end();
    // An hour's result is worth waiting for as long as it can still be written.
    void this.#giveUpLater(() => (this.#parts.attempts.idle ? LAST_WORDS_MS : this.#parts.trustMs));
  }

  giveBack(): void {
    this.#parts.attempts.endAll('interrupted');
    this.#parts.loop.stop();
    this.#parts.recovery.end();
    void this.#giveUpLater(() => LAST_WORDS_MS);
  }

  leave(): void {
    this.#parts.attempts.killAll();
    this.#abandon();
    this.#leaveNow();
  }

  /** What has ended is written back while the database answers; else its leases run out and others go on. */
  async #giveUpLater(patience: () => number): Promise<void> {
    await this.#parts.attempts.allEnded();
    if (this.#over) return;
    clearTimeout(this.#patience);
    const ms = patience();
    this.#parts.onLastWords(ms);
    this.#patience = setTimeout(() => this.#abandon(), ms);
  }

  /** A query on a dead connection would hold everything up until its deadline. */
  #abandon(): void {
    this.#parts.loop.abandon();
    this.#parts.disconnect();
  }

  /** Resolves when the loop is done and everything stands still. */
  async run(): Promise<void> {
    const { loop, settling, keeper, upkeep, watch, attempts, workerId } = this.#parts;
    const beside = [keeper.run(), upkeep.run(), settling?.run()];
    watch.start();
    // A bug in one of them ends the worker: going on without renewals would be worse.
    const failed = Promise.all(beside).then(() => new Promise<never>(() => {}));
    failed.catch(() => {});
    try {
      await Promise.race([loop.run(), failed]);
    } finally {
      this.#over = true;
      watch.stop();
      clearTimeout(this.#patience);
      attempts.endAll('interrupted');
      await Promise.race([attempts.allEnded(), this.#left]);
      keeper.stop();
      upkeep.stop();
      settling?.stop();
      const still = Promise.allSettled(beside).then(() => {});
      if (!(await within(still, LAST_STATEMENT_MS))) this.#parts.disconnect();
      await still;
    }
    if (this.#parts.wasTaken()) {
      throw new CapeError(
        'taken',
        `--worker-id: "${workerId}" was taken by another process while this one was out of reach`,
      );
    }
  }
}

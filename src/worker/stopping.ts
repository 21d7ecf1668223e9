/** How a worker stops: three steps, each harder than the one before. */
import type { Log } from '../log.js';

export interface Stoppable {
  /** Claim nothing more; end when what runs has ended. */
  drain(): void;
  /** End what runs now and give it back uncharged. */
  giveBack(): void;
  /** Leave at once; what is left is ended by the helpers. */
  leave(): void;
}

/** How far stopping has come, and when the drain is cut short, where it is. */
export interface StopStep {
  readonly phase: 'draining' | 'ending';
  readonly drainUntil: Date | null;
}

export class Stopping {
  readonly #drainMs: number | undefined;
  readonly #log: Log;
  readonly #onStep: (step: StopStep) => void;
  #step = 0;
  #target: Stoppable | null = null;
  #timer: NodeJS.Timeout | undefined;
  readonly #asked = new AbortController();

  /** @param drainMs how long running issues may go on; undefined: as long as they may take anyway */
  constructor(drainMs: number | undefined, log: Log, onStep: (step: StopStep) => void = () => {}) {
    this.#drainMs = drainMs;
    this.#log = log;
    this.#onStep = onStep;
  }

  /** Aborted with the first call of `next`. */
  get asked(): AbortSignal {
    return this.#asked.signal;
  }

  /** Whom to stop; told at once where stopping was asked for already. */
  attach(target: Stoppable): void {
    this.#target = target;
    if (this.#step >= 1) target.drain();
    if (this.#step >= 2) target.giveBack();
    if (this.#step >= 3) target.leave();
  }

  detach(): void {
    clearTimeout(this.#timer);
    this.#target = null;
  }

  /** One step further. */
  next(): void {
    this.#step += 1;
    this.#asked.abort();
    if (this.#step === 1) this.#drain();
    if (this.#step === 2) this.#giveBack('asked again to stop');
    if (this.#step === 3) this.#target?.leave();
  }

  /** The second step at once, unless it has been taken. */
  endNow(why: string): void {
    if (this.#step >= 2) return;
    this.#step = 2;
    this.#asked.abort();
    this.#giveBack(why);
  }

  #drain(): void {
    this.#log.info('stopping: claiming nothing more, letting running issues finish; ask again to end them now');
    const drainUntil = this.#drainMs === undefined ? null : new Date(Date.now() + this.#drainMs);
    this.#onStep({ phase: 'draining', drainUntil });
    this.#target?.drain();
    if (this.#drainMs === undefined) return;
    this.#timer = setTimeout(
      () => {
        if (this.#step > 1) return;
        this.#step = 2;
        this.#giveBack('the drain timeout is over');
      },
      Math.min(this.#drainMs, 2 ** 31 - 1),
    ).unref(); // what it waits for keeps the process alive, and it must not where nothing runs
  }

  #giveBack(why: string): void {
    clearTimeout(this.#timer);
    this.#log.info(`stopping now (${why}): running issues are ended and go back uncharged`);
    this.#onStep({ phase: 'ending', drainUntil: null });
    this.#target?.giveBack();
  }
}

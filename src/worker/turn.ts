/** A place for a run that may not begin yet, since another run of the same issue has not ended. */
import type { Outcome } from '../core/outcome.js';
import type { EndReason, Run } from '../execution/spec.js';

/** Held like a run, and ended like one; `why` tells what became of it when its turn comes. */
export class AwaitedTurn implements Run {
  readonly started: Promise<null>;
  readonly ended: Promise<Outcome>;
  #why: EndReason | null = null;

  /** @param before the run that must be gone first */
  constructor(before: Run) {
    this.started = before.ended.then(() => null);
    this.ended = before.ended;
  }

  /** Null: it may begin. Else it was ended before it began. */
  get why(): Outcome | null {
    if (this.#why === null) return null;
    const kind = this.#why === 'cancelled' ? 'cancelled' : 'interrupted';
    return { kind, error: 'ended before it began, while an earlier run of the issue was ending' };
  }

  end(reason: EndReason): void {
    this.#why ??= reason;
  }

  kill(): void {
    this.end('interrupted');
  }
}

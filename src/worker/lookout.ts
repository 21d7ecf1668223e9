/** Where in the queue to look next, and whether to look at all. */
import { monotonic } from '../execution/clock.js';
import { type Claimed, type ClaimHint, START } from '../queue/claim.js';

/** The hint may delay a row that comes to lie behind it by so long; it can never lose one. */
const HINT_MS = 2000;
/**
 * Times what a claim from the head takes, at most: under a snapshot that is held for long it walks over every row claimed
 * since, which vacuum may not remove (400,000 of them: 0.1 s).
 */
const HINT_TIMES = 20;
const LONGEST_HINT_MS = 10_000;

/** What was known when a claim was sent. */
export interface Look {
  readonly hint: ClaimHint;
  readonly looks: number;
  /** When, on the monotonic clock. */
  readonly at: number;
}

export class Lookout {
  readonly #pollMs: number;
  /** Something may be claimable: true until an answer from the head of the queue was short. */
  #due = true;
  /** Counts the calls of `look`: one that comes while a claim is under way tells of rows which that claim can't see. */
  #looks = 0;
  #pollFrom = 0;
  #pollAt = 0;
  #hint: ClaimHint = START;
  #hintUntil = 0;

  constructor(pollMs: number) {
    this.#pollMs = pollMs;
  }

  get due(): boolean {
    return this.#due;
  }

  /** From when on the queue is looked at without any word of it, on the monotonic clock, where the process is awake. */
  get pollFrom(): number {
    return this.#pollFrom;
  }

  /** When it is looked at in any case. */
  get pollAt(): number {
    return this.#pollAt;
  }

  /** Something was said of the queue: it is to be looked at from its head. */
  look(): void {
    this.#looks += 1;
    this.again();
  }

  /** The queue is to be looked at from its head: rows lie there that were passed, or the claim before was not answered. */
  again(): void {
    this.#due = true;
    this.#hint = START;
  }

  /** Notifications may be missed, the clock is not: the queue itself is the truth. */
  poll(time: number): void {
    if (time < this.#pollFrom) return;
    this.#restartPoll(time);
    this.again();
  }

  /** A claim is about to be sent. */
  begin(): Look {
    const time = monotonic();
    if (time >= this.#hintUntil) this.#hint = START;
    if (this.#hint === START) this.#hintUntil = time + HINT_MS;
    return { hint: this.#hint, looks: this.#looks, at: time };
  }

  /**
   * A claim was answered. Keeps the place behind the last claimed row; after a short answer the next look is from the
   * head again.
   * @param limit how many were wanted; 0 tells nothing of the queue
   */
  answered(sent: Look, { claims, hint }: Claimed, limit: number): void {
    const unseen = this.#looks !== sent.looks;
    const time = monotonic();
    if (sent.hint === START)
      this.#hintUntil = Math.max(this.#hintUntil, time + Math.min(LONGEST_HINT_MS, HINT_TIMES * (time - sent.at)));
    this.#hint = unseen ? START : hint;
    if (limit > 0) this.#due = unseen || claims.length === limit || sent.hint !== START;
    this.#restartPoll(time);
  }

  #restartPoll(time: number): void {
    this.#pollFrom = time + this.#pollMs * 0.9;
    this.#pollAt = time + this.#pollMs * (0.95 + 0.1 * Math.random());
  }
}

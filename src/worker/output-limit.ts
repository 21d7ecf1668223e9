/**
 * How much of one attempt's output is kept as events: the first half of the limit as it comes, and of the rest the
 * newest, in which each piece that is written drives out another. So that part is followed at a rate.
 */

/** Past the head: bytes a second, and so many at once. */
export const TAIL_RATE = 128 * 1024;

/** An event of kind `output` that is written. */
export interface Kept {
  readonly seq: number;
  readonly bytes: number;
  /** Bytes left out before it. */
  skipped: number;
}

/** Events that are to be deleted. */
export interface Surplus {
  readonly from: number;
  readonly to: number;
  /** The one that follows, and how many bytes more are left out before it then. */
  readonly next: number;
  readonly bytes: number;
  /** They are deleted. */
  done(): void;
}

export class OutputLimit {
  readonly #half: number;
  #head = 0;
  /** Past the head, oldest first. */
  readonly #tail: Kept[] = [];
  #tailBytes = 0;
  #allowance = TAIL_RATE;
  /** When that was counted, on the monotonic clock. */
  #countedAt = 0;

  /** @param limit bytes */
  constructor(limit: number) {
    this.#half = limit / 2;
  }

  /** Its first half is written. */
  get pastHead(): boolean {
    return this.#head >= this.#half;
  }

  /** Bytes that may be told now, where so many wait; what is past the head not by the byte. */
  allowed(now: number, waiting: number, atLeast: number): number {
    if (!this.pastHead) return Math.max(atLeast, this.#half - this.#head);
    const earned = this.#earned(now);
    return earned >= Math.min(atLeast, waiting) ? earned : 0;
  }

  count(piece: Kept, now: number): void {
    if (!this.pastHead) {
      this.#head += piece.bytes;
      return;
    }
    this.#allowance = this.#earned(now) - piece.bytes;
    this.#countedAt = now;
    this.#tail.push(piece);
    this.#tailBytes += piece.bytes;
  }

  /** What is to go, once a quarter too much has come together. */
  surplus(): Surplus | null {
    if (this.#tailBytes <= this.#half * 1.25) return null;
    let [count, kept, bytes] = [0, this.#tailBytes, 0];
    while (count < this.#tail.length - 1 && kept > this.#half) {
      const oldest = this.#tail[count++] as Kept;
      kept -= oldest.bytes;
      bytes += oldest.bytes + oldest.skipped;
    }
    const [first, last, next] = [this.#tail[0], this.#tail[count - 1], this.#tail[count]];
    if (!first || !last || !next) return null;
    const done = () => {
      this.#tail.splice(0, count);
      next.skipped += bytes;
      this.#tailBytes = kept;
    };
    return { from: first.seq, to: last.seq, next: next.seq, bytes, done };
  }

  #earned(now: number): number {
    return Math.min(TAIL_RATE, this.#allowance + ((now - this.#countedAt) / 1000) * TAIL_RATE);
  }
}

/** Which runs have printed more, told in one message for all of them: each message wakes the worker. */
import { monotonic } from './clock.js';
import type { Grown } from './protocol.js';

/** Between two messages, milliseconds: what people look at is drawn no more often. The first after a pause goes at once. */
const EVERY_MS = 50;
/** Where the worker is stopped, say. */
const LATER_MS = 1000;

export class GrownOutput {
  readonly #tell: (grown: readonly Grown[]) => boolean;
  readonly #bytes = new Map<string, number>();
  #timer: NodeJS.Timeout | null = null;
  #toldAt = Number.NEGATIVE_INFINITY;

  /** @param tell false where the worker does not listen: said again later, so that nothing piles up */
  constructor(tell: (grown: readonly Grown[]) => boolean) {
    this.#tell = tell;
  }

  /** @param bytes of the run's output so far */
  add(id: string, bytes: number): void {
    this.#bytes.set(id, bytes);
    this.#timer ??= setTimeout(() => this.#flush(), Math.max(0, this.#toldAt + EVERY_MS - monotonic()));
  }

  #flush(): void {
    this.#timer = null;
    this.#toldAt = monotonic();
    if (this.#tell([...this.#bytes])) this.#bytes.clear();
    else this.#timer = setTimeout(() => this.#flush(), LATER_MS);
  }
}

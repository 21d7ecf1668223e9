/** Which runs have printed more, told in one message for all of them: each message wakes the worker. */
import { monotonic } from './clock.js';
import type { Grown } from './protocol.js';

/** Between two messages, milliseconds: what people look at is drawn no more often. The first after a pause goes at once. */
const EVERY_MS = 50;

export class GrownOutput {
  readonly #tell: (grown: readonly Grown[]) => void;
  readonly #bytes = new Map<string, number>();
  #timer: NodeJS.Timeout | null = null;
  #toldAt = Number.NEGATIVE_INFINITY;

  constructor(tell: (grown: readonly Grown[]) => void) {
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
    const grown = [...this.#bytes];
    this.#bytes.clear();
    this.#tell(grown);
  }
}

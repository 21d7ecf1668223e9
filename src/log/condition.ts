/** Something that may be broken for a while: told when it breaks and when it works again, not each time in between. */
import type { Log } from '../log.js';

export class Condition {
  readonly #log: Log;
  readonly #broken: string;
  readonly #mended: string;
  #failing = false;

  /** @param broken what does not work, before the reason in brackets; @param mended what is said when it works again */
  constructor(log: Log, broken: string, mended: string) {
    this.#log = log;
    this.#broken = broken;
    this.#mended = mended;
  }

  failed(why: string): void {
    if (!this.#failing) this.#log.warn(`${this.#broken} (${why})`);
    this.#failing = true;
  }

  fine(): void {
    if (this.#failing) this.#log.info(this.#mended);
    this.#failing = false;
  }
}

/** A question that is asked again and again, and the less often the dearer its answer. */

/** At least so long between two askings. */
export const LOOK_MS = 1000;
/** A question may be under way for a twentieth of the time: one that takes 2 s is asked every 40 s. */
const SHARE = 20;

export class Paced<T> {
  #key: string | undefined;
  #value: T | undefined;
  #nextAt = 0;

  /**
   * The last answer, or a new one where it is time for it or the question is another one.
   * @param key what the question depends on
   * @param now monotonic, milliseconds
   * @throws what asking rejects with; it is then asked again the next time
   */
  async read(key: string, ask: () => Promise<T>, now: () => number = () => performance.now()): Promise<T> {
    const begun = now();
    if (key === this.#key && begun < this.#nextAt) return this.#value as T;
    const value = await ask();
    const took = now() - begun;
    this.#key = key;
    this.#value = value;
    // A little early counts as due, or a timer that is a hair too fast would ask every other time only.
    this.#nextAt = begun + Math.max(LOOK_MS / 2, SHARE * took);
    return value;
  }

  /** The next reading asks, whatever the last answer cost: something was changed. */
  renew(): void {
    this.#nextAt = 0;
  }
}

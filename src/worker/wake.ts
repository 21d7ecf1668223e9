/** Sleeping that can be ended: everything that waits in a worker waits here, so that stopping is never late. */
import { wakeWithin } from '../wakes.js';

/** A bell that one sleeper listens to. A ring while nobody sleeps is kept for the next sleep. */
export class Bell {
  #rung = false;
  #wake: (() => void) | null = null;

  ring(): void {
    this.#rung = true;
    this.#wake?.();
  }

  /**
   * Resolves at the next ring, or after `ms`, whichever comes first; at once where one was missed.
   * @param early so much before that it may also come, where the process wakes for something else
   */
  async sleep(ms: number, early = 0): Promise<void> {
    if (this.#rung || !(ms > 0)) {
      // Never back without a turn of the event loop: a caller whose deadlines are all past would starve the process.
      await new Promise((done) => setImmediate(done));
    } else {
      await new Promise<void>((done) => {
        const callOff = wakeWithin({ from: ms - early, until: ms }, done);
        this.#wake = () => {
          callOff();
          done();
        };
      });
    }
    this.#wake = null;
    this.#rung = false;
  }
}

/** A pause that an AbortSignal ends early. Never rejects. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((done) => {
    if (signal.aborted) return done();
    const finish = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', finish);
      done();
    };
    const timer = setTimeout(finish, ms);
    signal.addEventListener('abort', finish, { once: true });
  });
}

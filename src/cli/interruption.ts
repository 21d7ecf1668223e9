/** Ctrl-C and its like, for a command that has something to clean up. */
import { constants } from 'node:os';

/** The terminal and npm both deliver a Ctrl-C: signals this close together are one. */
const ONE_SIGNAL_MS = 500;
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** The first signal asks the command to clean up and leave; after it, signals do again what they do by default. */
export class Interruption {
  readonly #controller = new AbortController();
  #number = 0;

  constructor() {
    for (const name of SIGNALS) process.on(name, this.#onSignal);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** What shells use for an end by a signal. */
  get exitCode(): number {
    return 128 + this.#number;
  }

  close(): void {
    for (const name of SIGNALS) process.off(name, this.#onSignal);
  }

  readonly #onSignal = (name: NodeJS.Signals): void => {
    if (this.signal.aborted) return;
    this.#number = constants.signals[name];
    this.#controller.abort(new Error(`interrupted by ${name}`));
    setTimeout(() => this.close(), ONE_SIGNAL_MS).unref();
  };
}

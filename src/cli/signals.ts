/** The signals that stop a worker, as steps. */

/** The terminal and npm both deliver a Ctrl-C: signals this close together are one. */
const ONE_SIGNAL_MS = 500;
const NUMBERS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;

type SignalName = keyof typeof NUMBERS;
const SIGNALS = Object.keys(NUMBERS) as SignalName[];

/** How long the start of an embedded database is waited for after the first signal: 2 s for a new one, minutes after a crash. */
const START_MS = 10_000;

/** SIGINT, SIGTERM, and SIGHUP of a terminal that closes: each asks the worker to stop, more urgently; the third ends the program. */
export class Signals {
  /** Resolves at the first signal, with its name. */
  readonly first: Promise<SignalName>;
  /** Resolves at the third signal, with the exit code that shells use for it (128 + its number). */
  readonly third: Promise<number>;
  /** Resolves some time after the first signal, for what comes before there is a worker to stop. */
  readonly patience: Promise<null>;
  #count = 0;
  #last = Number.NEGATIVE_INFINITY;
  #stop: () => void = () => {};
  #timer: NodeJS.Timeout | undefined;
  #tellFirst!: (name: SignalName) => void;
  #tellThird!: (code: number) => void;
  #tellPatience!: (nothing: null) => void;

  constructor() {
    this.first = new Promise((resolve) => {
      this.#tellFirst = resolve;
    });
    this.third = new Promise((resolve) => {
      this.#tellThird = resolve;
    });
    this.patience = new Promise((resolve) => {
      this.#tellPatience = resolve;
    });
    for (const name of SIGNALS) process.on(name, this.#onSignal);
  }

  /** Calls `stop` for each signal, also for those that came before. */
  attach(stop: () => void): void {
    this.#stop = stop;
    for (let missed = 0; missed < this.#count; missed++) stop();
  }

  /** The worker has stopped. Signals are still caught: one more, while the log is closed, must not end the program first. */
  close(): void {
    clearTimeout(this.#timer);
    this.#stop = () => {};
  }

  readonly #onSignal = (signal: SignalName): void => {
    const now = performance.now();
    if (now - this.#last < ONE_SIGNAL_MS) return;
    this.#last = now;
    this.#count += 1;
    this.#timer ??= setTimeout(() => this.#tellPatience(null), START_MS);
    this.#tellFirst(signal);
    this.#stop();
    if (this.#count >= 3) this.#tellThird(128 + NUMBERS[signal]);
  };
}

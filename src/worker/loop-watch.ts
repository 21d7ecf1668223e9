/**
 * Notices a loop that stands still though nothing holds it up: a bug, from which a restart helps. It must never be wrong,
 * since a restart ends what runs. So it counts its own looks and not the time, which also passes while a process is frozen;
 * it waits for many times as long as a loop may rest and its statements may take; and it excuses a loop where a restart
 * would cost something.
 */
import { wakeEvery } from '../wakes.js';

export interface WatchedLoop {
  /** For people. */
  readonly name: string;
  /** How often it has turned. */
  turns(): number;
  /** The longest that it may rest of its own will, milliseconds. */
  readonly restMs: number;
  /** True while it is to be left alone. */
  excused?(): boolean;
}

/** At least; twice that where nothing else wakes the process. */
const LOOK_EVERY_MS = 15_000;
/** Each statement has a deadline of 15 s at most. */
const PATIENCE_MS = 600_000;

export class LoopWatch {
  readonly #loops: readonly WatchedLoop[];
  readonly #onStuck: (name: string | null) => void;
  readonly #everyMs: number;
  readonly #still = new Map<WatchedLoop, { turns: number; looks: number }>();
  #stop = () => {};

  /** @param onStuck told at each look which loop is stuck, null where none is */
  constructor(loops: readonly WatchedLoop[], onStuck: (name: string | null) => void, everyMs = LOOK_EVERY_MS) {
    this.#loops = loops;
    this.#onStuck = onStuck;
    this.#everyMs = everyMs;
  }

  start(): void {
    this.#stop = wakeEvery({ from: this.#everyMs, until: 2 * this.#everyMs }, () => this.look());
  }

  stop(): void {
    this.#stop();
  }

  look(): void {
    const stuck = this.#loops.filter(
      (loop) => this.#looksWithoutTurn(loop) * this.#everyMs > PATIENCE_MS + loop.restMs,
    );
    this.#onStuck(stuck[0]?.name ?? null);
  }

  #looksWithoutTurn(loop: WatchedLoop): number {
    const turns = loop.turns();
    const before = this.#still.get(loop);
    const looks = before?.turns === turns && !loop.excused?.() ? before.looks + 1 : 0;
    this.#still.set(loop, { turns, looks });
    return looks;
  }
}

/** What happens in a worker, told as it happens to whoever counts it or traces it. Costs nothing where nobody looks. */
import type { Claim } from '../core/issue.js';
import type { Outcome } from '../core/outcome.js';
import type { FailureKind } from '../db/failure.js';
import type { Settlement } from '../queue/settle.js';
import type { Starter } from './starter.js';

/** All of it may be left out. Told in the middle of the work: to be quick, and not to change what it is given. */
export interface WorkerObserver {
  /** A statement that claims was answered with something. @param tookMs from when it was sent */
  readonly claimed?: (claims: readonly Claim[], tookMs: number) => void;
  /** An attempt begins: calls `start` once and returns what it returns, in a context of the observer's own. */
  readonly starting?: <T>(claim: Claim, start: () => T) => T;
  /** Variables of the environment for the command, asked for within `starting`. */
  readonly variables?: () => Readonly<Record<string, string>>;
  /** An attempt has ended, and is not written back yet. @param ranMs null where it never began */
  readonly ended?: (claim: Claim, outcome: Outcome, ranMs: number | null) => void;
  /** What came of an attempt was written; or, where it was no longer ours, was not. */
  readonly settled?: (settlement: Settlement, isLost: boolean) => void;
  /** Issues were taken from workers that are gone. */
  readonly rescued?: (issues: number) => void;
  /** A statement failed. It is tried again. */
  readonly databaseFailed?: (kind: FailureKind) => void;
}

type Told = Omit<WorkerObserver, 'starting' | 'variables'>;

/** Several observers as one. What one of them throws harms neither the work nor the others. */
export class Observers {
  readonly #all: readonly WorkerObserver[];
  readonly #onTrouble: (error: unknown) => void;

  constructor(all: readonly WorkerObserver[], onTrouble: (error: unknown) => void) {
    this.#all = all;
    this.#onTrouble = onTrouble;
  }

  tell<K extends keyof Told>(name: K, ...args: Parameters<NonNullable<Told[K]>>): void {
    for (const observer of this.#all)
      this.#safely(() => (observer[name] as ((...all: typeof args) => void) | undefined)?.(...args));
  }

  /** A starter whose starts are observed. */
  over(starter: Starter): Starter {
    const wrapping = this.#all.flatMap(({ starting }) => (starting ? [starting] : []));
    if (wrapping.length === 0) return starter;
    return {
      start: (claim, until) =>
        wrapping.reduceRight<() => ReturnType<Starter['start']>>(
          (start, wrap) => () => this.#once(start, (begin) => wrap(claim, begin)),
          () => starter.start(claim, until),
        )(),
    };
  }

  variables(): Record<string, string> {
    const found: Record<string, string> = {};
    for (const { variables } of this.#all) this.#safely(() => Object.assign(found, variables?.()));
    return found;
  }

  /** Whatever the wrapper does, what it wraps happens, and once. */
  #once<T>(start: () => T, wrap: (begin: () => T) => T): T {
    let made: (() => T) | undefined;
    const begin = () => {
      made ??= outcomeOf(start);
      return made();
    };
    this.#safely(() => void wrap(begin));
    return begin();
  }

  #safely(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#onTrouble(error);
    }
  }
}

/** What a call has returned, or thrown, to be had again. */
function outcomeOf<T>(call: () => T): () => T {
  try {
    const value = call();
    return () => value;
  } catch (error) {
    return () => {
      throw error;
    };
  }
}

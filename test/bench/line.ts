/**
 * The words of the benchmarks. A line is one question ("how fast is a queue worked off?"), put to several contenders by
 * turns; a figure is what one of them answered, a sample per round; a goal is what we want the medians of one run to say.
 */

/** How much is done: `quick` shows in under a minute that everything runs, `full` takes hours. */
export interface Scale {
  readonly name: 'quick' | 'usual' | 'full';
  /** How often each contender has its turn. */
  readonly rounds: number;
}

export interface Figure {
  /** Who was measured, such as `cape-worker` or `graphile-worker 0.17.3, tuned`. */
  readonly contender: string;
  /** What was measured, such as `issues/s`. */
  readonly figure: string;
  readonly unit: string;
  /** One per round, in order. Tables show median, least and greatest. */
  readonly samples: readonly number[];
}

/** A goal beside what was reached. */
export interface GoalResult {
  readonly what: string;
  /** In words and numbers: `>= 1.2x graphile-worker tuned`. */
  readonly goal: string;
  /** The same way: `1.31x (44.1 k/s against 33.7 k/s)`. */
  readonly reached: string;
  readonly met: boolean;
}

/** Curves for an SVG. */
export interface Plot {
  /** File name without its ending. */
  readonly name: string;
  readonly title: string;
  readonly x: string;
  readonly y: string;
  readonly logX?: boolean;
  readonly curves: readonly { readonly name: string; readonly points: readonly (readonly [number, number])[] }[];
}

export interface Measured {
  readonly figures: readonly Figure[];
  readonly goals: readonly GoalResult[];
  /** Said below the table: what a reader has to know to repeat or to trust it. */
  readonly notes: readonly string[];
  readonly plots?: readonly Plot[];
}

/** A database of the benchmarks' own Postgres. */
export interface BenchDatabase {
  readonly url: string;
  drop(): Promise<void>;
}

/** What a contender's process said and cost. */
export interface Told {
  /** The object that the program printed as its last line. */
  readonly said: Readonly<Record<string, number>>;
  /** CPU time of the process and the children that it waited for, from "begin" (else its start) to its answer, seconds. */
  readonly cpuSeconds: number;
  /** That of the database server meanwhile; 0 where the system has no /proc. */
  readonly serverCpuSeconds: number;
}

export interface ContenderOptions {
  /** A Node of another version, brought by the npm package `node`. Default: the one that runs the benchmarks. */
  readonly node?: '24';
  readonly env?: Readonly<Record<string, string>>;
}

/** What a line works with: one Postgres with durable settings, made for this run and removed after it. */
export interface Stage {
  /** An empty one. */
  database(): Promise<BenchDatabase>;
  /** One with cape-worker's tables. */
  capeDatabase(): Promise<BenchDatabase>;
  /**
   * Runs `test/bench/contenders/<program>` with JSON as its only argument, to its end. One that prints the line `ready` is
   * told to begin by a line on its stdin, after a checkpoint: `contenders/contend.mjs` does that.
   * @throws Error with what it wrote to stderr where it fails
   */
  run(program: string, job: object, options?: ContenderOptions): Promise<Told>;
  /** A folder of this run. */
  readonly folder: string;
  /** False where the registry has no Node 24 for this platform: such contenders are left out then, with a note. */
  readonly node24: boolean;
  /** Writes everything to disk, so that no turn pays for what was written before it. */
  checkpoint(): Promise<void>;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
}

export interface Line {
  /** For `--only`, such as `drain`. */
  readonly name: string;
  readonly title: string;
  /** @param say tells a person what goes on now */
  measure(stage: Stage, scale: Scale, say: (text: string) => void): Promise<Measured>;
}

/** What a worker is doing, told to whoever observes it: a service manager, a page, a person. */

/**
 * - `starting`: looks for the database, checks its tables, registers
 * - `migrating`: brings the tables up to date, which may take minutes
 * - `working`: claims and runs, or waits for issues
 * - `draining`: claims nothing more, lets finish what runs
 * - `ending`: ends what runs and gives it back
 * - `stopped`: has left
 */
export type WorkerPhase = 'starting' | 'migrating' | 'working' | 'draining' | 'ending' | 'stopped';

export interface RunningIssue {
  readonly id: number;
  /** From 1. */
  readonly attempt: number;
  readonly since: Date;
  /** When its time limit ends it. */
  readonly until: Date;
}

/** Plain data, without a secret and without a word of an issue's own text. */
export interface WorkerState {
  readonly phase: WorkerPhase;
  /** Set while the database is away: since when, and what is wrong in a line for people. What runs goes on. */
  readonly away: { readonly since: Date; readonly words: string } | null;
  /** It claims nothing since somebody paused it, or every worker. Noticed within a renewal, 15 s at most. */
  readonly paused: boolean;
  /** Oldest first. */
  readonly running: readonly RunningIssue[];
  /** Ids of issues that have ended and are not written back yet. */
  readonly unwritten: readonly number[];
  /** How many it has completed since it started. */
  readonly completed: number;
  /** While draining with a drain timeout: when what still runs is ended. */
  readonly drainUntil: Date | null;
  /** Set once a leaving worker has nothing left that runs: when it gives up writing back what it still holds. */
  readonly leavesBy: Date | null;
  /** A loop of the worker that has stood still for minutes with nothing to wait for, which is a bug; null = all is well. */
  readonly stuck: string | null;
}

/** Called with each new state, at most once in a turn of the event loop. What it throws is logged and harms nothing. */
export type StateObserver = (state: WorkerState) => void;

type Said = Omit<WorkerState, 'running' | 'unwritten' | 'completed'>;
type Work = Pick<WorkerState, 'running' | 'unwritten'>;

const NO_WORK: Work = { running: [], unwritten: [] };
/** A worker that was told to stop while it started does not work again. */
const ORDER: Readonly<Record<WorkerPhase, number>> = {
  starting: 0,
  migrating: 0,
  working: 1,
  draining: 2,
  ending: 3,
  stopped: 4,
};

/** Where the parts of a worker write what they are doing, and the observer reads. */
export class StateBoard {
  readonly #observer: StateObserver | undefined;
  readonly #onTrouble: (error: unknown) => void;
  #said: Said = {
    phase: 'starting',
    away: null,
    paused: false,
    drainUntil: null,
    leavesBy: null,
    stuck: null,
  };
  #completed = 0;
  #work: () => Work = () => NO_WORK;
  #due: NodeJS.Immediate | undefined;

  /** @param onTrouble told what the observer throws */
  constructor(observer: StateObserver | undefined, onTrouble: (error: unknown) => void) {
    this.#observer = observer;
    this.#onTrouble = onTrouble;
  }

  /** Where to read what runs: looked at when a state is told, so that a thousand starts in one turn cost one look. */
  watch(work: () => Work): void {
    this.#work = work;
    this.touch();
  }

  /** Notes what has changed. A phase that lies behind us is passed over. */
  note(changes: Partial<Said>): void {
    const { phase = this.#said.phase } = changes;
    const isBack = ORDER[phase] < ORDER[this.#said.phase];
    const said = { ...this.#said, ...changes, phase: isBack ? this.#said.phase : phase };
    const names = Object.keys(said) as (keyof Said)[];
    if (names.every((name) => said[name] === this.#said[name])) return;
    this.#said = said;
    this.touch();
  }

  completedOne(): void {
    this.#completed += 1;
    this.touch();
  }

  /** Something that `watch` reads has changed. */
  touch(): void {
    if (this.#observer) this.#due ??= setImmediate(() => this.tell());
  }

  /** Tells the observer now. */
  tell(): void {
    clearImmediate(this.#due);
    this.#due = undefined;
    if (!this.#observer) return;
    try {
      // An async function passes for an observer: unheard, its rejection would end the process.
      const told: unknown = this.#observer({ ...this.#said, completed: this.#completed, ...this.#work() });
      if (told instanceof Promise) told.catch(this.#onTrouble);
    } catch (error) {
      this.#onTrouble(error);
    }
  }
}

/**
 * The worker's Executor: one keeper, and a second one beside it while one can't keep up. A start holds its keeper up
 * until the command is executed, half of the time waiting; so one keeper leaves a second processor without work.
 */
import { availableParallelism } from 'node:os';
import { monotonic } from './clock.js';
import { type ExecutorOptions, KeeperExecutor } from './keeper-client.js';
import type { CommandSpec, Deadline, Executor, HelperRecord, Run } from './spec.js';

export interface KeepersOptions extends ExecutorOptions {
  /** Keepers at most; default 2, or 1 where there is one processor. */
  readonly keepers?: number;
}

/** So long a keeper has had starts waiting, without a pause, before it gets help. Sixteen at once take 20 to 40 ms. */
const BEHIND_MS = 100;
/** So long they share what comes after that; the second leaves by itself when it has had nothing for a while. */
const SHARED_MS = 10_000;

/** Starts no process yet: a keeper comes with its first command. */
export function createExecutor(options: KeepersOptions): Executor {
  return new Keepers(options);
}

class Keepers implements Executor {
  onHelpers: Executor['onHelpers'] = null;
  onOutput: Executor['onOutput'] = null;
  readonly #all: readonly [KeeperExecutor, ...KeeperExecutor[]];
  /** Whose run it is. */
  readonly #byRun = new Map<string, KeeperExecutor>();
  /** Runs that wait for their start, as far as we were told. */
  #waiting = 0;
  #waitingSince = 0;
  #sharedUntil = 0;

  constructor({ keepers = availableParallelism() > 1 ? 2 : 1, ...options }: KeepersOptions) {
    const others = Array.from({ length: keepers - 1 }, () => new KeeperExecutor(options));
    this.#all = [new KeeperExecutor(options), ...others];
    for (const keeper of this.#all) {
      keeper.onHelpers = () => this.onHelpers?.(this.helpers);
      keeper.onOutput = (grown) => this.onOutput?.(grown);
    }
  }

  get helpers(): HelperRecord | null {
    const [first, ...others] = this.#all.flatMap(({ helpers }) => helpers ?? []);
    return first && others.length > 0 ? { ...first, others } : (first ?? null);
  }

  start(spec: CommandSpec, until: Deadline): Run {
    // One that is under way is refused by the keeper that has it.
    const under = this.#byRun.get(spec.id);
    if (under) return under.start(spec, until);
    const keeper = this.#choose();
    const run = keeper.start(spec, until);
    this.#byRun.set(spec.id, keeper);
    void run.ended.then(() => this.#byRun.delete(spec.id));
    if (this.#waiting++ === 0) this.#waitingSince = monotonic();
    void run.started.then(() => {
      this.#waiting -= 1;
    });
    return run;
  }

  confirm(deadlines: Iterable<readonly [id: string, until: Deadline]>): void {
    const all = [...deadlines];
    for (const keeper of this.#all) keeper.confirm(all);
  }

  async close(): Promise<void> {
    await Promise.all(this.#all.map((keeper) => keeper.close()));
  }

  /** The one with the fewest runs where they share, the first of several. */
  #choose(): KeeperExecutor {
    const [first, ...others] = this.#all;
    if (others.length === 0) return first;
    const time = monotonic();
    if (this.#waiting > 0 && time - this.#waitingSince > BEHIND_MS) this.#sharedUntil = time + SHARED_MS;
    if (time > this.#sharedUntil) return first;
    return others.reduce((least, each) => (each.running < least.running ? each : least), first);
  }
}

/**
 * Workers of the same machine that died. Only here can death be proven, and then their issues need not wait for the
 * lease: the worker and its helpers are gone by pid and start time, and the warden's script has ended what they left.
 */
import { messageOf } from '../core/errors.js';
import type { Queryable } from '../db/connect.js';
import { monotonic, within } from '../execution/clock.js';
import { isAlive } from '../execution/processes.js';
import { endLeftovers } from '../execution/recover.js';
import type { HelperRecord } from '../execution/spec.js';
import type { Log } from '../log.js';
import { releaseDead } from '../queue/rescue.js';
import { markDead, neighbours, type WorkerRow } from '../queue/workers.js';
import { stateDirOf } from './plan.js';
import type { VerdictDelivery } from './verdict-delivery.js';
import { verdictDirOf } from './verdict-file.js';

/** What a dead worker had ended waits so long for the end of what still ran: its leases may be short. */
const TREES_MS = 5000;
/** Without proof it is tried again: helpers may take their time. */
const TRY_AGAIN_MS = 10_000;
/** After an outcome that could not be delivered. */
const DELIVER_AGAIN_MS = 3000;

interface Known {
  row: WorkerRow;
  /** The table names it no longer: it stays here until its issues are taken over. */
  readonly replaced: boolean;
  tryAt: number;
  /** That there is no proof was said: its folder may be gone for good, and a line every 10 s would help nobody. */
  told: boolean;
}

export class Neighbours {
  readonly #db: Queryable;
  readonly #machine: string | null;
  readonly #instance: string;
  readonly #delivery: VerdictDelivery;
  readonly #log: Log;
  readonly #onRescued: (issues: number) => void;
  #known = new Map<string, Known>();
  #checking: Promise<void> | null = null;

  /**
   * @param machine identity of this machine; null: nobody is ever proven dead
   * @param onRescued told how many issues of a dead worker were released
   */
  constructor(
    db: Queryable,
    machine: string | null,
    instance: string,
    delivery: VerdictDelivery,
    log: Log,
    onRescued: (issues: number) => void = () => {},
  ) {
    this.#onRescued = onRescued;
    this.#db = db;
    this.#machine = machine;
    this.#instance = instance;
    this.#delivery = delivery;
    this.#log = log;
  }

  /** The worker whose id this process took over: the table no longer names it, its issues may still be held. */
  remember(row: WorkerRow): void {
    if (row.machine === this.#machine) this.#known.set(row.instance, { row, replaced: true, tryAt: 0, told: false });
  }

  /** Nobody else is known here. */
  get alone(): boolean {
    return this.#known.size === 0;
  }

  /** Reads anew who else is here. */
  async refresh(): Promise<void> {
    if (this.#machine === null) return;
    const found = new Map<string, Known>();
    for (const row of await neighbours(this.#db, this.#machine, this.#instance)) {
      // The same object: a take-over that is under way notes in it what came of it.
      const known = this.#known.get(row.instance) ?? { row, replaced: false, tryAt: 0, told: false };
      known.row = row;
      found.set(row.instance, known);
    }
    for (const [instance, known] of this.#known) {
      if (known.replaced) found.set(instance, known);
    }
    this.#known = found;
  }

  /** Looks whether they live, which costs no query, and takes over from those that don't. */
  check(): Promise<void> {
    this.#checking ??= this.#checkAll().finally(() => (this.#checking = null));
    return this.#checking;
  }

  /** Resolves when all who are here now have been looked at. */
  async lookRound(): Promise<void> {
    await this.refresh();
    await this.#checking?.catch(() => {}); // it may have begun before; whoever began it hears of its failure
    await this.check();
  }

  async #checkAll(): Promise<void> {
    for (const known of this.#known.values()) {
      if (this.#isRipe(known, monotonic())) await this.#takeOver(known);
    }
  }

  #isRipe(known: Known, time: number): boolean {
    return time >= known.tryAt && !isAlive({ pid: known.row.pid, start: known.row.pid_start });
  }

  /**
   * Ends what a dead worker left, delivers what it had ended, and releases the rest at once: in this order, and the last
   * only with proof. Without proof the leases' time decides.
   */
  async #takeOver(known: Known): Promise<void> {
    const { id, pid, pid_start, log_dir, instance } = known.row;
    const helpers = known.row.helpers as HelperRecord | null;
    const stateDir = log_dir === null ? {} : { stateDir: stateDirOf(log_dir, id) };
    let unseen: string | null = null;
    const onUnseen = (error: unknown) => {
      unseen = messageOf(error);
    };
    const proof = endLeftovers(helpers, { pid, start: pid_start }, { ...stateDir, onUnseen });
    await within(proof, TREES_MS);
    // Waited for in any case: begun again beside it, both would send SIGTERM.
    const undelivered = await this.#deliver(known.row).finally(() => proof);
    if (!(await proof)) {
      this.#unproven(known, unseen);
      return;
    }
    const { taken, left } = await releaseDead(this.#db, instance, undelivered);
    if (taken.length > 0) this.#onRescued(taken.length);
    for (const issue of taken) this.#log.warn(`issue ${issue.id}: worker ${id} (pid ${pid}) died; now ${issue.status}`);
    // A row that the server refuses may stay so for long, and each try runs the warden's script.
    if (undelivered.length > 0) known.tryAt = monotonic() + DELIVER_AGAIN_MS;
    if (left + undelivered.length > 0) return; // locked rows: again at the next look
    await markDead(this.#db, instance);
    this.#known.delete(instance);
  }

  /** @returns the issues whose outcomes are known and could not be written yet */
  async #deliver({ log_dir, id, instance }: WorkerRow): Promise<number[]> {
    if (log_dir === null) return [];
    return this.#delivery.deliver(verdictDirOf(log_dir, id), (of) => of === instance);
  }

  #unproven(known: Known, unseen: string | null): void {
    const { id, pid } = known.row;
    const left =
      unseen === null
        ? 'is gone, but not everything that it started, as far as can be seen; its issues wait for that'
        : `is gone, and whether all that it started is can't be seen (${unseen}); its issues wait until it can`;
    if (!known.told) this.#log.warn(`worker ${id} (pid ${pid}) ${left}, or for their leases to run out`);
    known.told = true;
    known.tryAt = monotonic() + TRY_AGAIN_MS;
  }
}

/**
 * The loop: settle what has ended (unless settle-loop.ts does) and claim what can start, one turn at a time. Two claims in
 * flight from one worker cost twice the work of one. How many are claimed is decided by claim-pace.ts, how it is sent by
 * exchange.ts.
 */
import { randomUUID } from 'node:crypto';
import type { Claim } from '../core/issue.js';
import type { Queryable } from '../db/connect.js';
import { failureOf } from '../db/failure.js';
import { after, monotonic, now } from '../execution/clock.js';
import type { Deadline } from '../execution/spec.js';
import { START } from '../queue/claim.js';
import { anythingPendingFor } from '../queue/drain.js';
import type { Attempts } from './attempts.js';
import { type ClaimPace, LONGEST_WAIT_MS } from './claim-pace.js';
import type { Exchange } from './exchange.js';
import type { Gate } from './gate.js';
import { Lookout } from './lookout.js';
import { type Outage, pauseBeforeTry } from './outage.js';
import { isRefusal } from './settle-one.js';
import type { Settler } from './settler.js';
import type { Unclaimable } from './unclaimable.js';
import type { UnclearClaims } from './unclear-claims.js';
import type { WaitingMark } from './waiting-mark.js';
import type { Bell } from './wake.js';

export interface ClaimLoopParts {
  readonly db: Queryable;
  readonly attempts: Attempts;
  readonly settler: Settler;
  /** False where settle-loop.ts settles. */
  readonly settles: boolean;
  readonly exchange: Exchange;
  readonly pace: ClaimPace;
  readonly mark: WaitingMark;
  readonly gate: Gate;
  readonly unclear: UnclearClaims;
  readonly unclaimable: Unclaimable;
  readonly outage: Outage;
  readonly bell: Bell;
  readonly workerId: string;
  readonly instance: string;
  readonly leaseMs: number;
  /** How long after a confirmed renewal a run may go on, milliseconds. */
  readonly trustMs: number;
  readonly pollMs: number;
  /** Told of claims that have been started, with the time before they were sent. */
  readonly onClaimed: (sentAt: Deadline, claims: readonly Claim[]) => void;
  /** Leave after one issue. */
  readonly once: boolean;
  /** Leave when nothing that this worker may run is pending. */
  readonly drain: boolean;
  /** With `drain`: what the dead of this machine have left is brought in, as far as it can be now. */
  readonly lookRound: () => Promise<void>;
}

/**
 * So many ends beside the slots may wait to be written (rows that somebody has locked, or whose writing a trigger
 * refuses) before nothing more is claimed: each holds a lease and up to 72 KiB of texts.
 */
const MOST_UNSETTLED = 100;
const SUSPECT = 'a worker has crashed with it or with one of its neighbours: it is to run with fewer beside it';
const STOPPED = 'the worker was stopped before it began';

export class ClaimLoop {
  /** How often it has gone round. */
  turns = 0;
  readonly #parts: ClaimLoopParts;
  #stopping = false;
  #abandoned = false;
  #claimedOne = false;
  #lookedRound = false;
  #tries = 0;
  readonly #lookout: Lookout;

  constructor(parts: ClaimLoopParts) {
    this.#parts = parts;
    this.#lookout = new Lookout(parts.pollMs);
  }

  /** Look at the queue now, from its head: a notification, a promotion, a released row. */
  look(): void {
    this.#lookout.look();
    this.#parts.bell.ring();
  }

  /** Claims nothing more; `run` resolves when everything in hand is settled. */
  stop(): void {
    this.#stopping = true;
    this.#parts.attempts.giveBackWaiting(STOPPED);
    this.#parts.unclear.hurry();
    this.#parts.bell.ring();
  }

  /** Waits no longer for what could not be written: the leases of it run out. */
  abandon(): void {
    this.#abandoned = true;
    this.stop();
  }

  /** Resolves when stopped and settled, or by itself with `once` and `drain`. */
  async run(): Promise<void> {
    while (!this.#finished()) {
      this.turns += 1;
      try {
        if (await this.#step()) {
          this.#tries = 0;
          this.#parts.outage.over('the queue');
        } else {
          this.#parts.outage.withdraw('the queue');
          await this.#rest();
        }
      } catch (error) {
        const failure = failureOf(error);
        if (failure.code === null) throw error; // not the database's: a bug of ours
        this.#parts.outage.failed('the queue', failure, () => this.#parts.bell.ring());
        this.#parts.mark.forget();
        this.#lookout.again();
        await this.#parts.bell.sleep(pauseBeforeTry(this.#tries, Math.random()));
        this.#tries += 1;
      }
    }
  }

  #finished(): boolean {
    const { attempts, settler, unclear } = this.#parts;
    if (this.#abandoned) return true;
    return this.#leaving() && attempts.idle && !unclear.waiting && !settler.reportDue(monotonic());
  }

  #leaving(): boolean {
    return this.#stopping || (this.#parts.once && this.#claimedOne);
  }

  /** @returns true where the database was asked and has answered; false where nothing is to be done now */
  async #step(): Promise<boolean> {
    const { attempts, settler, settles, pace, mark, unclear } = this.#parts;
    const time = monotonic();
    const reports = settles && settler.reportDue(time);
    const asks = unclear.due(time) || reports;
    if (unclear.due(time) && (await unclear.adopt(this.#free(time, pace.room(attempts)), this.#leaving())) > 0)
      this.#claimedOne = true;
    if (reports) await settler.reportLate();
    this.#lookout.poll(time);
    if (time >= this.#overdueAt) this.#giveBack([], 'no slot became free for it in time', time - LONGEST_WAIT_MS);
    const free = this.#free(time);
    if ((settles && settler.due(time).length > 0) || (free > 0 && this.#lookout.due)) {
      await this.#turn(free);
      return true;
    }
    if (free > 0 && (await this.#emptyHanded(time))) return true;
    if (free === 0) await mark.clearIfStale(time);
    return asks;
  }

  /** Until something is due, or somebody rings. */
  async #rest(): Promise<void> {
    const { settler, settles, mark, gate, unclear, bell } = this.#parts;
    const time = monotonic();
    const next = Math.min(
      this.#lookout.pollAt,
      this.#overdueAt,
      settles ? settler.nextAt : Number.POSITIVE_INFINITY,
      mark.nextAt,
      gate.nextAt(time),
      unclear.nextAt,
    );
    const early = Math.max(0, next - this.#lookout.pollFrom);
    if (!this.#finished()) await bell.sleep(next - monotonic(), early);
  }

  /** How many issues may be claimed now. @param limit by the pace */
  #free(time: number, limit?: number): number {
    const { attempts, settler, pace, once, gate } = this.#parts;
    if (this.#stopping || (once && this.#claimedOne)) return 0;
    const { putOff } = settler;
    const wanted = Math.min(limit ?? pace.limit(attempts, putOff), once ? 1 : Number.POSITIVE_INFINITY);
    // What has just ended does not count: it is about to be settled. Nor does what a claim has locked for an instant.
    const room = pace.slots + MOST_UNSETTLED - attempts.running - attempts.waiting - attempts.ended;
    const most = putOff > MOST_UNSETTLED / 2 ? room : Number.POSITIVE_INFINITY;
    return Math.max(0, Math.min(wanted, most, gate.limit(time)));
  }

  get #overdueAt(): number {
    return this.#parts.attempts.waitingSince + LONGEST_WAIT_MS;
  }

  async #turn(slots: number): Promise<void> {
    const { exchange, unclaimable, workerId, instance, leaseMs, trustMs } = this.#parts;
    const free = unclaimable.limit(slots);
    const base = now();
    const until = after(base, trustMs);
    const token = randomUUID();
    const look = this.#lookout.begin();
    const except = unclaimable.except();
    const { hint } = look;
    const wanted = { worker: workerId, instance, limit: free, token, leaseSeconds: leaseMs / 1000, hint, except };
    const answer = await exchange.make(wanted, until).catch((error) => this.#goRound(error, free, hint === START));
    if (!answer) return;
    this.#lookout.answered(look, answer, free);
    if (answer.claims.length === 0) return;
    this.#parts.onClaimed(base, answer.claims);
    this.#take(answer.claims, until);
    this.#claimedOne = true;
  }

  #take(claims: readonly Claim[], until: Deadline): void {
    const { attempts, pace } = this.#parts;
    // The answer may have come after the word to stop.
    const { begin, back } = this.#stopping ? { begin: [], back: claims } : pace.answered(claims, attempts);
    if (back.length > 0) this.#giveBack(back, this.#stopping ? STOPPED : SUSPECT);
    for (const claim of begin) attempts.take(claim, until);
  }

  /** Uncharged, and what still waits for a slot along with it. @param before only what has waited since before then */
  #giveBack(claims: readonly Claim[], why: string, before?: number): void {
    const { attempts } = this.#parts;
    attempts.giveBackWaiting(why, before);
    for (const claim of claims) attempts.giveBack(claim, why);
    this.#lookout.again();
  }

  /** A claim that was refused, with nothing to settle in it: for the sake of one row, most likely. */
  async #goRound(error: unknown, limit: number, fromHead: boolean): Promise<null> {
    const { unclaimable, workerId } = this.#parts;
    const failure = failureOf(error);
    if (limit === 0 || !isRefusal(failure)) throw error;
    if (!(await unclaimable.met(failure, workerId, limit, fromHead))) throw error;
    this.#lookout.again();
    return null;
  }

  /**
   * Slots are free and the queue looked empty. Leaves when draining; else sees to it that the next insert wakes us.
   * @returns true where the queue is to be looked at again at once
   */
  async #emptyHanded(time: number): Promise<boolean> {
    const { db, drain, attempts, workerId, mark, unclaimable } = this.#parts;
    if (drain && attempts.idle && !(await anythingPendingFor(db, workerId, unclaimable.except()))) {
      if (this.#lookedRound) this.#stopping = true;
      else {
        await this.#parts.lookRound();
        this.#lookedRound = true;
        this.look();
      }
      return true;
    }
    const again = await mark.keep(time);
    if (again) this.look();
    return again;
  }
}

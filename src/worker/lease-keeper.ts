/**
 * One timer per worker: it renews all leases in hand and the worker's own sign of life in one statement, on a connection
 * of its own, so that nothing slow can make it late. The same answer tells what was cancelled and what is lost.
 */
import type { Queryable } from '../db/connect.js';
import { failureOf } from '../db/failure.js';
import { after, isPast, monotonic, now } from '../execution/clock.js';
import type { Deadline } from '../execution/spec.js';
import { beat, type Renewed } from '../queue/lease.js';
import { EARLY } from '../wakes.js';
import type { Attempts } from './attempts.js';
import { type Outage, pauseBeforeTry, SCOUT_PAUSE_MS } from './outage.js';
import type { WaitingMark } from './waiting-mark.js';
import { Bell } from './wake.js';

export interface LeaseKeeperParts {
  readonly db: Queryable;
  readonly attempts: Attempts;
  readonly mark: WaitingMark;
  readonly outage: Outage;
  readonly instance: string;
  readonly leaseMs: number;
  readonly intervalMs: number;
  /** How long after a confirmed renewal a run may go on, milliseconds. */
  readonly trustMs: number;
  /** Between SIGTERM and SIGKILL, milliseconds. */
  readonly graceMs: number;
  /** Tells the keeper process the new deadlines. */
  readonly confirm: (deadlines: (readonly [string, Deadline])[]) => void;
  readonly onRenewed: () => void;
  /** Told after each renewal whether somebody has paused this worker. */
  readonly onPaused: (paused: boolean) => void;
  /** Another process has this worker's id. */
  readonly onTaken: () => void;
}

/** A lease whose row somebody holds locked is tried again after so long. */
const BUSY_MS = 200;
/** Nothing says when a pause ends: so often is it looked at. */
const PAUSED_MS = 2000;
/** How often deadlines are looked at where no keeper process does it (handlers). */
const FENCE_MS = 250;

export class LeaseKeeper {
  /** How often it has renewed, or tried to. */
  turns = 0;
  readonly #parts: LeaseKeeperParts;
  readonly #bell = new Bell();
  #stopped = false;
  #over = false;
  #guarding: NodeJS.Timeout | undefined;
  #tries = 0;
  #hurriedAt = Number.NEGATIVE_INFINITY;

  constructor(parts: LeaseKeeperParts) {
    this.#parts = parts;
  }

  /** Renews now: somebody cancelled something. */
  hurry(): void {
    this.#hurriedAt = monotonic();
    this.#bell.ring();
  }

  /**
   * Attempts were started by a claim that was sent then. A cancel that was heard while its answer was on the way may
   * concern one of them, which the renewal that it brought about did not know yet.
   */
  claimed(sentAt: Deadline): void {
    if (this.#hurriedAt >= sentAt.mono) this.#bell.ring();
  }

  stop(): void {
    this.#stopped = true;
    this.#bell.ring();
  }

  /** An attempt runs: deadlines are looked at from now on, until none runs. An idle worker would wake four times a second. */
  guard(): void {
    if (!this.#over) this.#guarding ??= setInterval(() => this.#fence(), FENCE_MS);
  }

  /** Resolves when stopped. */
  async run(): Promise<void> {
    try {
      while (!this.#stopped) {
        const ms = await this.#beat();
        await this.#bell.sleep(ms, ms * EARLY);
      }
    } finally {
      this.#over = true;
      clearInterval(this.#guarding);
    }
  }

  /** @returns milliseconds until the next one */
  async #beat(): Promise<number> {
    this.turns += 1;
    const { db, attempts, mark, instance, leaseMs, intervalMs, outage } = this.#parts;
    const base = now();
    try {
      const answer = await beat(db, {
        instance,
        waiting: mark.carried,
        leases: attempts.held(),
        leaseSeconds: leaseMs / 1000,
      });
      outage.over('the leases');
      this.#tries = 0;
      this.#parts.onRenewed();
      this.#parts.onPaused(answer.paused);
      if (!answer.registered) this.#parts.onTaken();
      const busy = this.#take(answer.leases, base);
      if (busy) return BUSY_MS;
      const nextMs = answer.paused ? Math.min(PAUSED_MS, intervalMs) : intervalMs;
      return Math.max(0, nextMs - (monotonic() - base.mono));
    } catch (error) {
      const failure = failureOf(error);
      if (failure.code === null) throw error; // not the database's: a bug of ours
      outage.failed('the leases', failure, () => this.#bell.ring());
      mark.forget();
      this.#tries += 1;
      // The leases can wait least, so this is the one that tries often and wakes the others.
      return pauseBeforeTry(this.#tries, Math.random(), Math.min(intervalMs, SCOUT_PAUSE_MS));
    }
  }

  /** The deadline counts from before the renewal was sent: the database's clock may have read any time since. */
  #take(leases: readonly Renewed[], base: Deadline): boolean {
    const { attempts, trustMs, confirm } = this.#parts;
    const until = after(base, trustMs);
    const renewed = new Set<string>();
    for (const { id, token, state, cancelled } of leases) {
      if (state === 'lost') attempts.lost(id, token);
      if (state === 'ok') renewed.add(`${id} ${token}`);
      if (cancelled !== null) attempts.cancel(id, token);
    }
    const deadlines: [string, Deadline][] = [];
    for (const active of attempts.dated()) {
      const { issue, attempt, token } = active.claim;
      if (!renewed.has(`${issue.id} ${token}`)) continue;
      active.until = until;
      deadlines.push([`${issue.id}/${attempt}`, until]);
    }
    if (deadlines.length > 0) confirm(deadlines);
    return leases.some(({ state }) => state === 'busy');
  }

  #fence(): void {
    const time = now();
    let any = false;
    for (const { until, run } of this.#parts.attempts.active) {
      any = true;
      if (!isPast(until, time)) continue;
      run.end('unconfirmed');
      // This process was frozen: the lease may be another's by now.
      if (isPast(after(until, this.#parts.graceMs), time)) run.kill();
    }
    if (any) return;
    clearInterval(this.#guarding);
    this.#guarding = undefined;
  }
}

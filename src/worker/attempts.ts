/**
 * The attempts in this worker's hands: those that wait for a slot, those that run, and those that have ended and are not
 * written back yet. All hold their lease, so all are renewed.
 */
import { rmSync } from 'node:fs';
import { messageOf } from '../core/errors.js';
import type { Claim } from '../core/issue.js';
import { decide, type Outcome, type RetryPolicy, type Verdict } from '../core/outcome.js';
import { firstLine } from '../core/text.js';
import type { Deadline, EndReason } from '../execution/spec.js';
import type { Log } from '../log.js';
import type { Settlement } from '../queue/settle.js';
import type { AttemptFiles } from './attempt-files.js';
import { resultOf } from './attempt-result.js';
import { ClaimQueue } from './claim-queue.js';
import type { OutputRelay } from './output-relay.js';
import { type ActiveAttempt, Running } from './running.js';
import type { Starter } from './starter.js';
import { AwaitedTurn } from './turn.js';

export interface AttemptsParts {
  readonly starter: Starter;
  readonly policy: RetryPolicy;
  readonly host: string;
  readonly log: Log;
  /** Claims that are taken while so many run wait. Default: none waits. */
  readonly slots?: number;
  /** Called when an attempt has ended and waits to be settled. @param ranMs how long it ran; null where it never began */
  readonly onEnded: (outcome: Outcome, ranMs: number | null, claim: Claim) => void;
  /** Carries what commands print into the database. */
  readonly relay?: Pick<OutputRelay, 'begin' | 'ended' | 'forget'>;
  /** Called when something has begun to run, or runs no more. */
  readonly onRunning?: () => void;
}

/** Characters of a description that the log shows. */
const SHOWN = 200;

export class Attempts {
  readonly #parts: AttemptsParts;
  readonly #slots: number;
  readonly #waiting = new ClaimQueue();
  readonly #active = new Running();
  readonly #unsettled = new Map<number, Settlement>();
  #filling = false;

  constructor(parts: AttemptsParts) {
    this.#parts = parts;
    this.#slots = parts.slots ?? Number.POSITIVE_INFINITY;
  }

  /** How many run now. */
  get running(): number {
    return this.#active.size;
  }

  /** How many are claimed and have not begun. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** How many have ended and are not written back. */
  get ended(): number {
    return this.#unsettled.size;
  }

  /** True where nothing runs or waits to run, and nothing waits to be written. */
  get idle(): boolean {
    return this.#active.size === 0 && this.#waiting.size === 0 && this.#unsettled.size === 0;
  }

  get active(): Iterable<ActiveAttempt> {
    return this.#active;
  }

  /** Whatever may not go on past a deadline, which each renewal moves: what runs, and what waits to. */
  *dated(): Iterable<{ readonly claim: Claim; until: Deadline }> {
    yield* this.#active;
    yield* this.#waiting;
  }

  /** Everything whose lease is to be renewed. */
  held(): { id: number; token: string }[] {
    return [
      ...Array.from(this.dated(), ({ claim }) => ({ id: claim.issue.id, token: claim.token })),
      ...Array.from(this.#unsettled.values(), ({ id, token }) => ({ id, token })),
    ];
  }

  /** Begins work on a claim where a slot is free; else it waits for one. @param until as for `start` */
  take(claim: Claim, until: Deadline): void {
    if (this.#active.size < this.#slots && this.#waiting.size === 0) this.start(claim, until);
    else this.#waiting.add(claim, until);
  }

  /** Starts work on a claim. @param until when the run must be ended without a further renewal */
  start(claim: Claim, until: Deadline): void {
    const older = this.#active.otherRunOf(claim);
    if (older) {
      this.#startAfter(older, claim, until);
      return;
    }
    const { starter, log, onRunning, relay } = this.#parts;
    const { run, files } = starter.start(claim, until);
    if (files) relay?.begin(claim, files);
    if (!('ended' in run)) {
      this.#ended(claim, run, files, null);
      return;
    }
    const active = { claim, run, until, lost: false, since: new Date() };
    this.#active.add(active);
    onRunning?.();
    if (!log.deaf)
      log.info(
        `issue ${claim.issue.id}: attempt ${claim.attempt} started: ${firstLine(claim.issue.description, SHOWN)}`,
      );
    void run.ended.then((outcome) => {
      this.#active.delete(active);
      const ranMs = Date.now() - active.since.getTime();
      this.#ended(claim, active.lost ? { ...outcome, kind: 'lost' } : outcome, files, ranMs);
    });
  }

  /**
   * The issue was given to us anew while we still run it: the database forgot our claim (a failover that lost it), or
   * its ids began again. So the older run is lost, and the claim waits for its end: two at once is what must never be.
   */
  #startAfter(older: ActiveAttempt, claim: Claim, until: Deadline): void {
    const { id } = claim.issue;
    this.#parts.log.warn(
      `issue ${id}: claimed anew while attempt ${older.claim.attempt} still runs here; that is ended first`,
    );
    this.lost(id, older.claim.token);
    const turn = new AwaitedTurn(older.run);
    const waiting: ActiveAttempt = { claim, run: turn, until, lost: false, since: new Date() };
    this.#active.add(waiting);
    void turn.ended.then(() => {
      this.#active.delete(waiting);
      if (waiting.lost) this.#ended(claim, { kind: 'lost' }, null, null);
      else if (turn.why) this.#ended(claim, turn.why, null, null);
      else this.start(claim, waiting.until);
    });
  }

  #ended(claim: Claim, ended: Outcome, files: AttemptFiles | null, ranMs: number | null): void {
    const { policy, host, log, onEnded } = this.#parts;
    const outcome =
      ended.kind === 'succeeded' && files ? { ...ended, result: this.#resultOf(claim, ended, files) } : ended;
    this.#guarded(claim, () => this.#parts.relay?.ended(claim, outcome.tail ?? null));
    const spare = files?.spare;
    if (spare) this.#guarded(claim, () => rmSync(spare, { recursive: true, force: true }));
    const verdict = decide(outcome, claim.issue, policy, Math.random());
    if (!log.deaf) {
      const told = `issue ${claim.issue.id}: attempt ${claim.attempt} ${outcome.kind}`;
      log[levelOf(outcome, verdict)](outcome.error ? `${told}: ${outcome.error}` : told);
    }
    if (verdict.action === 'nothing') this.#parts.relay?.forget(claim.issue.id, claim.token);
    else {
      const { id } = claim.issue;
      this.#unsettled.set(id, {
        id,
        token: claim.token,
        verdict,
        outcome,
        logPath: files?.log ?? null,
        logHost: files ? host : null,
      });
    }
    onEnded(outcome, ranMs, claim);
    this.#parts.onRunning?.();
    this.#fillSoon();
  }

  #resultOf(claim: Claim, ended: Outcome, files: AttemptFiles): string | null {
    const result = this.#guarded(claim, () => resultOf(ended, files, this.#parts.log));
    return result === undefined ? (ended.tail ?? null) : result;
  }

  /** Whatever a command has left in its files: its attempt is settled, and the commands of the others go on. */
  #guarded<Result>(claim: Claim, action: () => Result): Result | undefined {
    try {
      return action();
    } catch (error) {
      const { issue, attempt } = claim;
      this.#parts.log.warn(`issue ${issue.id}: what attempt ${attempt} left can't be taken in: ${messageOf(error)}`);
      return undefined;
    }
  }

  /**
   * In the next turn of the event loop, so that hundreds of handlers that never wait for anything let renewals, answers
   * and signals through in between.
   */
  #fillSoon(): void {
    if (this.#filling || this.#waiting.size === 0) return;
    this.#filling = true;
    setImmediate(() => {
      this.#filling = false;
      for (let free = this.#slots - this.#active.size; free > 0; free--) {
        const next = this.#waiting.next();
        if (!next) return;
        this.start(next.claim, next.until);
      }
      this.#fillSoon();
    });
  }

  /** A claim that can't be started any more goes back uncharged. */
  giveBack(claim: Claim, why: string): void {
    this.#ended(claim, { kind: 'interrupted', error: why }, null, null);
  }

  /** What has not begun goes back uncharged. @param before only what was claimed before then; default all */
  giveBackWaiting(why: string, before: number = Number.POSITIVE_INFINITY): void {
    for (const claim of this.#waiting.leave(before)) this.giveBack(claim, why);
  }

  /** When the claim was taken that has waited longest, on the monotonic clock. */
  get waitingSince(): number {
    return this.#waiting.since;
  }

  /** What waits to be written, oldest first. It stays here until `settled` names it. */
  unsettled(): Settlement[] {
    return [...this.#unsettled.values()];
  }

  settled(id: number, token: string): void {
    if (this.#unsettled.get(id)?.token !== token) return;
    this.#unsettled.delete(id);
    this.#parts.relay?.forget(id, token);
  }

  /**
   * The lease is gone: what runs is ended, and nothing will be written for it. What has ended stays to be settled: it
   * hears "lost" there, and an interruption of our own making is then booked as no crash.
   */
  lost(id: number, token: string): void {
    const waiting = this.#waiting.remove(id, token);
    if (waiting) this.#ended(waiting, { kind: 'lost' }, null, null);
    const active = this.#active.find(id, token);
    if (!active) return;
    active.lost = true;
    active.run.end('unconfirmed');
  }

  /** Somebody cancelled it. */
  cancel(id: number, token: string): void {
    const waiting = this.#waiting.remove(id, token);
    if (waiting) this.#ended(waiting, { kind: 'cancelled', error: 'cancelled before it began' }, null, null);
    this.#active.find(id, token)?.run.end('cancelled');
  }

  endAll(reason: EndReason): void {
    this.giveBackWaiting('the worker was stopped before it began');
    for (const active of this.#active) active.run.end(reason);
  }

  /** Resolves when nothing runs any more. */
  async allEnded(): Promise<void> {
    await Promise.all(Array.from(this.#active, ({ run }) => run.ended));
  }

  killAll(): void {
    this.giveBackWaiting('the worker was stopped before it began');
    for (const active of this.#active) active.run.kill();
  }
}

/** A failure that is tried again is everyday life, unless time or the worker ran out under it. */
function levelOf({ kind }: Outcome, verdict: Verdict): 'info' | 'warn' {
  const final = verdict.action === 'finish' && verdict.status === 'failed';
  return final || kind === 'timed_out' || kind === 'crashed' ? 'warn' : 'info';
}

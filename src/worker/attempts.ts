/**
 * The attempts in this worker's hands: those that run, and those that have ended and are not written back yet.
 * Both hold their lease, so both are renewed.
 */
import { closeSync, constants, fstatSync, openSync, readSync, rmSync } from 'node:fs';
import type { Claim } from '../core/issue.js';
import { decide, type Outcome, type RetryPolicy, type Verdict } from '../core/outcome.js';
import { firstLine } from '../core/text.js';
import type { Deadline, EndReason, Run } from '../execution/spec.js';
import type { Log } from '../log.js';
import type { Settlement } from '../queue/settle.js';
import type { AttemptFiles } from './attempt-files.js';
import { AwaitedTurn } from './turn.js';

/** Starts what a claim asks for. A spec that can't be made is an Outcome, not an exception. */
export interface Starter {
  start(claim: Claim, until: Deadline): { run: Run | Outcome; files: AttemptFiles | null };
}

export interface ActiveAttempt {
  readonly claim: Claim;
  readonly run: Run;
  /** The run's last confirmed deadline: past it the keeper ends it, since the lease may soon be another's. */
  until: Deadline;
  lost: boolean;
  readonly since: Date;
}

export interface AttemptsParts {
  readonly starter: Starter;
  readonly policy: RetryPolicy;
  readonly host: string;
  readonly log: Log;
  /** Called when an attempt has ended and waits to be settled. */
  readonly onEnded: (outcome: Outcome) => void;
  /** Called when something has begun to run, or runs no more. */
  readonly onRunning?: () => void;
}

/** What is kept of a result file; a longer one is cut. */
const RESULT_BYTES = 64 * 1024;
/** Characters of a description that the log shows. */
const SHOWN = 200;

export class Attempts {
  readonly #parts: AttemptsParts;
  /** By issue and token: after TRUNCATE ... RESTART IDENTITY an id comes again while the old one's command still ends. */
  readonly #active = new Map<string, ActiveAttempt>();
  readonly #unsettled = new Map<number, Settlement>();

  constructor(parts: AttemptsParts) {
    this.#parts = parts;
  }

  /** How many run now. */
  get running(): number {
    return this.#active.size;
  }

  /** True where nothing runs and nothing waits to be written. */
  get idle(): boolean {
    return this.#active.size === 0 && this.#unsettled.size === 0;
  }

  get active(): Iterable<ActiveAttempt> {
    return this.#active.values();
  }

  /** Everything whose lease is to be renewed. */
  held(): { id: number; token: string }[] {
    return [
      ...[...this.#active.values()].map(({ claim }) => ({ id: claim.issue.id, token: claim.token })),
      ...[...this.#unsettled.values()].map(({ id, token }) => ({ id, token })),
    ];
  }

  /** Starts work on a claim. @param until when the run must be ended without a further renewal */
  start(claim: Claim, until: Deadline): void {
    const older = this.#olderRunOf(claim);
    if (older) {
      this.#startAfter(older, claim, until);
      return;
    }
    const { run, files } = this.#parts.starter.start(claim, until);
    if (!('ended' in run)) {
      this.#ended(claim, run, files);
      return;
    }
    const active = { claim, run, until, lost: false, since: new Date() };
    const key = keyOf(claim.issue.id, claim.token);
    this.#active.set(key, active);
    this.#parts.onRunning?.();
    this.#parts.log.info(
      `issue ${claim.issue.id}: attempt ${claim.attempt} started: ${firstLine(claim.issue.description, SHOWN)}`,
    );
    void run.ended.then((outcome) => {
      this.#active.delete(key);
      this.#ended(claim, active.lost ? { ...outcome, kind: 'lost' } : outcome, files);
    });
  }

  #olderRunOf({ issue, token }: Claim): ActiveAttempt | undefined {
    return [...this.#active.values()].findLast(({ claim }) => claim.issue.id === issue.id && claim.token !== token);
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
    const key = keyOf(id, claim.token);
    this.#active.set(key, waiting);
    void turn.ended.then(() => {
      this.#active.delete(key);
      if (waiting.lost) this.#ended(claim, { kind: 'lost' }, null);
      else if (turn.why) this.#ended(claim, turn.why, null);
      else this.start(claim, waiting.until);
    });
  }

  #ended(claim: Claim, ended: Outcome, files: AttemptFiles | null): void {
    const { policy, host, log, onEnded } = this.#parts;
    const outcome = ended.kind === 'succeeded' ? { ...ended, result: resultOf(ended, files, log) } : ended;
    if (files?.spare) rmSync(files.spare, { recursive: true, force: true });
    const verdict = decide(outcome, claim.issue, policy, Math.random());
    const told = `issue ${claim.issue.id}: attempt ${claim.attempt} ${outcome.kind}`;
    log[levelOf(outcome, verdict)](outcome.error ? `${told}: ${outcome.error}` : told);
    if (verdict.action !== 'nothing') {
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
    onEnded(outcome);
    this.#parts.onRunning?.();
  }

  /** A claim that can't be started any more goes back uncharged. */
  giveBack(claim: Claim, why: string): void {
    this.#ended(claim, { kind: 'interrupted', error: why }, null);
  }

  /** What waits to be written, oldest first. It stays here until `settled` names it. */
  unsettled(): Settlement[] {
    return [...this.#unsettled.values()];
  }

  settled(id: number, token: string): void {
    if (this.#unsettled.get(id)?.token === token) this.#unsettled.delete(id);
  }

  /**
   * The lease is gone: what runs is ended, and nothing will be written for it. What has ended stays to be settled: it
   * hears "lost" there, and an interruption of our own making is then booked as no crash.
   */
  lost(id: number, token: string): void {
    const active = this.#active.get(keyOf(id, token));
    if (!active) return;
    active.lost = true;
    active.run.end('unconfirmed');
  }

  end(id: number, token: string, reason: EndReason): void {
    this.#active.get(keyOf(id, token))?.run.end(reason);
  }

  endAll(reason: EndReason): void {
    for (const active of this.#active.values()) active.run.end(reason);
  }

  /** Resolves when nothing runs any more. */
  async allEnded(): Promise<void> {
    await Promise.all([...this.#active.values()].map(({ run }) => run.ended));
  }

  killAll(): void {
    for (const active of this.#active.values()) active.run.kill();
  }
}

function keyOf(id: number, token: string): string {
  return `${id} ${token}`;
}

/** A failure that is tried again is everyday life, unless time or the worker ran out under it. */
function levelOf({ kind }: Outcome, verdict: Verdict): 'info' | 'warn' {
  const final = verdict.action === 'finish' && verdict.status === 'failed';
  return final || kind === 'timed_out' || kind === 'crashed' ? 'warn' : 'info';
}

/** The text in the command's CAPE_RESULT_FILE, else what the run itself returned, else the end of its output. */
function resultOf(outcome: Outcome, files: AttemptFiles | null, log: Log): string | null {
  if (!files) return outcome.result ?? null;
  const tail = outcome.tail?.trim() ? outcome.tail : null;
  return readResult(files.result, log) ?? tail;
}

/**
 * The command may have put anything at the path: a FIFO (opened without blocking, read only if a plain file), or a link
 * to a file that is none (/proc/self/mem can be opened and not read).
 */
function readResult(path: string, log: Log): string | null {
  let fd: number | null = null;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    if (!fstatSync(fd).isFile()) return null;
    const buffer = Buffer.alloc(RESULT_BYTES);
    const text = buffer.toString('utf8', 0, readSync(fd, buffer, 0, RESULT_BYTES, 0)).replaceAll('\0', '');
    return text.trim() === '' ? null : text;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
      log.warn(`the result file ${path} can't be read: ${(error as Error).message}`);
    return null;
  } finally {
    if (fd !== null) closeSync(fd);
  }
}

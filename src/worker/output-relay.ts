/**
 * Carries what running commands print, and say of themselves, from their files into the database as it comes: everything
 * of all runs in one round of statements at a time. Nothing is kept in memory: while the database is away, or slower than
 * the commands, it is read from the files later, or left out where they have moved on.
 */
import { messageOf } from '../core/errors.js';
import type { Claim } from '../core/issue.js';
import type { Queryable } from '../db/connect.js';
import { failureOf } from '../db/failure.js';
import { type Appended, append, type Told } from '../events/append.js';
import { trimOutput } from '../events/trim.js';
import { monotonic, within } from '../execution/clock.js';
import { Condition } from '../log/condition.js';
import type { Log } from '../log.js';
import type { Held } from '../queue/settle.js';
import type { AttemptFiles } from './attempt-files.js';
import { AttemptOutput, type Draft, plain } from './attempt-output.js';
import type { ChildEvent } from './child-events.js';
import { pauseBeforeTry } from './outage.js';

/** Between two rounds, milliseconds; a first line after a pause waits for none. */
const EVERY_MS = 50;
/** How often events files are looked at. */
const LOOK_MS = 250;
/** Bytes of output in one round. */
const ROUND = 1024 * 1024;
/**
 * Bytes of output in one statement. A text of more than 128 KiB, or half as many characters where one of them is not of
 * Latin-1, is one of V8's large objects, which outlive the collections of what is young: a worker grew by 8 MB of them.
 */
const STATEMENT = 48 * 1024;
/** A lease that somebody had locked, most likely our own renewal. */
const BUSY_MS = 20;
/** The last of the output rides ahead of the settlement for so long at most. */
const LAST_MS = 1000;

export interface OutputRelayParts {
  readonly db: Queryable;
  readonly log: Log;
  /** Bytes of an attempt's output that are kept as events. */
  readonly limit: number;
}

/** What one output may still send in this round, bytes. */
interface Turn {
  readonly output: AttemptOutput;
  readonly left: number;
}

export class OutputRelay {
  readonly #parts: OutputRelayParts;
  readonly #condition: Condition;
  readonly #byHolder = new Map<string, AttemptOutput>();
  readonly #byRun = new Map<string, AttemptOutput>();
  #timer: NodeJS.Timeout | null = null;
  #looking: NodeJS.Timeout | null = null;
  #sending: Promise<void> | null = null;
  #notBefore = 0;
  #tries = 0;

  constructor(parts: OutputRelayParts) {
    this.#parts = parts;
    this.#condition = new Condition(
      parts.log,
      'the output of commands can not be written to the database; it is in their files, and follows',
      'the output of commands is written to the database again',
    );
  }

  /** A command has been started. */
  begin(claim: Claim, files: AttemptFiles): void {
    const output = new AttemptOutput(claim, files, this.#parts.limit);
    this.#byHolder.set(holderOf(claim.issue.id, claim.token), output);
    this.#byRun.set(runOf(claim), output);
    this.#looking ??= setInterval(() => this.#look(), LOOK_MS).unref();
  }

  /** A handler tells something. What is told of an attempt that has ended is dropped. */
  tell(claim: Claim, event: ChildEvent): void {
    const key = holderOf(claim.issue.id, claim.token);
    let output = this.#byHolder.get(key);
    if (!output) {
      output = new AttemptOutput(claim, null, 0);
      this.#byHolder.set(key, output);
    }
    if (!output.ended) output.tell(event);
    this.#soon();
  }

  /** Runs have printed more. */
  grown(runs: readonly (readonly [id: string, bytes: number])[]): void {
    for (const [id, bytes] of runs) this.#byRun.get(id)?.grown(bytes);
    this.#soon();
  }

  /** A command runs no more. @param tail the end of its output; null where nothing is to be written for it any more */
  ended({ issue, token }: Claim, tail: string | null): void {
    const output = this.#byHolder.get(holderOf(issue.id, token));
    if (!output) return;
    output.end(tail);
  }

  /** Attempts are about to be settled: the last of their output goes first. Null, at once, where there is none. */
  beforeSettling(attempts: readonly Held[]): Promise<void> | null {
    const last = attempts
      .map(({ id, token }) => this.#byHolder.get(holderOf(id, token)))
      .filter((output) => output !== undefined)
      .filter((output) => output.pending);
    if (last.length === 0) return null;
    return within(this.#finish(last), LAST_MS).then(() => {});
  }

  /** Nothing more is to be written for an attempt: it is settled, or lost. */
  forget(id: number, token: string): void {
    const output = this.#byHolder.get(holderOf(id, token));
    if (!output) return;
    this.#byHolder.delete(holderOf(id, token));
    if (this.#byRun.get(runOf(output.claim)) === output) this.#byRun.delete(runOf(output.claim));
    void output.close().catch(() => {}); // a file that was only read
    if (this.#byHolder.size > 0 || !this.#looking) return;
    clearInterval(this.#looking);
    this.#looking = null;
  }

  #look(): void {
    for (const output of this.#byHolder.values()) if (!output.ended) output.look(() => this.#soon());
    this.#soon();
  }

  #soon(ms = 0): void {
    if (this.#timer || this.#sending) return;
    const now = monotonic();
    if (!this.#some().some((output) => output.pending)) return;
    this.#timer = setTimeout(
      () => {
        this.#timer = null;
        void this.#send(this.#some()).then(() => this.#soon(EVERY_MS));
      },
      Math.max(ms, this.#notBefore - now),
    ).unref();
  }

  #some(): AttemptOutput[] {
    return [...this.#byHolder.values()];
  }

  async #finish(outputs: readonly AttemptOutput[]): Promise<void> {
    const until = monotonic() + LAST_MS;
    while (monotonic() < until) {
      await this.#sending;
      const left = outputs.filter((output) => output.pending && this.#isOurs(output));
      // Where the database is away, the settlement finds that out by itself.
      if (left.length === 0 || this.#tries > 0) return;
      await this.#send(left);
      if (left.every((output) => output.pending)) await new Promise((done) => setTimeout(done, BUSY_MS / 2));
    }
  }

  #isOurs({ claim }: AttemptOutput): boolean {
    return this.#byHolder.has(holderOf(claim.issue.id, claim.token));
  }

  /** One round at a time. Never rejects. */
  #send(outputs: readonly AttemptOutput[]): Promise<void> {
    this.#sending ??= this.#sendDue(outputs)
      .then(() => {
        if (this.#tries > 0) this.#condition.fine();
        this.#tries = 0;
        this.#notBefore = monotonic() + EVERY_MS;
      })
      .catch((error) => {
        this.#condition.failed(failureOf(error).message);
        this.#tries += 1;
        this.#notBefore = monotonic() + pauseBeforeTry(this.#tries, Math.random());
      })
      .finally(() => {
        this.#sending = null;
      });
    return this.#sending;
  }

  /** Each output has its turn, in as many statements as that takes; nobody's second comes before another's first. */
  async #sendDue(outputs: readonly AttemptOutput[]): Promise<void> {
    let turns: readonly Turn[] = outputs.map((output) => ({ output, left: output.turn }));
    for (let room = ROUND; room > 0 && turns.length > 0; ) {
      const { drafts, next } = await this.#statement(turns, Math.min(room, STATEMENT));
      turns = next;
      if (drafts.size === 0) continue;
      await this.#append(drafts);
      for (const output of drafts.keys()) await this.#trim(output);
      for (const { bytes } of drafts.values()) room -= bytes;
    }
  }

  /** What fits into one statement, and whose turn is not over with it. */
  async #statement(turns: readonly Turn[], most: number) {
    const now = monotonic();
    const drafts = new Map<AttemptOutput, Draft>();
    const begun: Turn[] = [];
    let room = most;
    let count = 0;
    for (const { output, left } of turns) {
      if (room <= 0) break;
      count += 1;
      if (!this.#isOurs(output) || !output.due(now)) continue;
      const draft = await this.#draft(output, room, left);
      if (!draft) continue;
      if (draft.told.length === 0) draft.done(null);
      else drafts.set(output, draft);
      if (draft.bytes >= room && draft.bytes < left) begun.push({ output, left: left - draft.bytes });
      room -= draft.bytes;
    }
    return { drafts, next: [...turns.slice(count), ...begun] };
  }

  async #trim(output: AttemptOutput): Promise<void> {
    const surplus = output.surplus();
    if (!surplus) return;
    const { issue, attempt } = output.claim;
    const { done, ...middle } = surplus;
    await trimOutput(this.#parts.db, { id: issue.id, attempt, ...middle });
    done();
  }

  /** Null where an attempt's files can't be read (EIO, EACCES): what they hold is left out, and the others' is not held up. */
  async #draft(output: AttemptOutput, most: number, turn: number): Promise<Draft | null> {
    try {
      return await output.draft(most, turn);
    } catch (error) {
      const { issue, attempt } = output.claim;
      const level = output.spoiled ? 'debug' : 'warn';
      output.leaveOut();
      this.#parts.log[level](
        `issue ${issue.id}: output of attempt ${attempt} can't be read and is left out: ${messageOf(error)}`,
      );
      return null;
    }
  }

  async #append(drafts: ReadonlyMap<AttemptOutput, Draft>): Promise<void> {
    try {
      const told = [...drafts.values()].flatMap((draft) => draft.told);
      this.#take(drafts, await append(this.#parts.db, told));
    } catch (error) {
      if (failureOf(error).kind !== 'data') throw error;
      // What one of them says can't be stored: the others' is not to be held up.
      for (const [output, draft] of drafts) await this.#appendOne(output, draft);
    }
  }

  async #appendOne(output: AttemptOutput, draft: Draft): Promise<void> {
    const drafts = new Map([[output, draft]]);
    for (const told of [draft.told, draft.told.map(plain), []]) {
      try {
        this.#take(drafts, told.length > 0 ? await append(this.#parts.db, told) : [unstored(draft)]);
        return;
      } catch (error) {
        if (failureOf(error).kind !== 'data') throw error;
        const { issue, attempt } = output.claim;
        this.#parts.log.debug(`issue ${issue.id}: output of attempt ${attempt}: ${failureOf(error).message}`);
      }
    }
  }

  #take(drafts: ReadonlyMap<AttemptOutput, Draft>, answers: readonly Appended[]): void {
    const byHolder = new Map(answers.map((answer) => [holderOf(answer.id, answer.token), answer]));
    for (const [output, draft] of drafts) {
      const { issue, token } = output.claim;
      const answer = byHolder.get(holderOf(issue.id, token));
      if (answer?.state === 'ok') draft.done(answer.before);
      else if (answer?.state === 'busy') output.notBefore = monotonic() + BUSY_MS;
      else this.forget(issue.id, token);
    }
  }
}

function holderOf(id: number, token: string): string {
  return `${id} ${token}`;
}

/** As the spec of the run has it. */
function runOf({ issue, attempt }: Claim): string {
  return `${issue.id}/${attempt}`;
}

/** Stands for an answer: it is to be gone on after what can't be stored in any way. */
function unstored({ told }: Draft): Appended {
  const [{ id, token }] = told as [Told];
  return { id, token, state: 'ok', before: null };
}

/** A run as the worker holds it: two promises to keep and the words to say about it. */
import type { Outcome } from '../core/outcome.js';
import { outcomeOfReason } from './ending.js';
import type { Farewell } from './keeper-link.js';
import type { ToKeeper } from './protocol.js';
import type { CommandSpec, Deadline, EndReason, Run } from './spec.js';
import { readTail } from './tail.js';

export class LiveRun implements Run {
  readonly spec: CommandSpec;
  readonly started: Promise<number | null>;
  readonly ended: Promise<Outcome>;
  until: Deadline;
  /** True once a keeper was told of it. */
  sent = false;
  readonly #say: (message: ToKeeper) => void;
  #tellStarted!: (pid: number | null) => void;
  #tellEnded!: (outcome: Outcome) => void;

  constructor(spec: CommandSpec, until: Deadline, say: (message: ToKeeper) => void) {
    this.spec = spec;
    this.until = until;
    this.#say = say;
    this.started = new Promise((done) => {
      this.#tellStarted = done;
    });
    this.ended = new Promise((done) => {
      this.#tellEnded = done;
    });
  }

  send(): void {
    this.sent = true;
    this.#say({ t: 'start', spec: this.spec, until: this.until });
  }

  end(reason: EndReason): void {
    if (this.sent) this.#say({ t: 'end', id: this.spec.id, why: reason });
    else this.settle(outcomeOfReason(reason, this.spec));
  }

  kill(): void {
    if (this.sent) this.#say({ t: 'kill', id: this.spec.id });
    else this.end('interrupted');
  }

  begin(pid: number): void {
    this.#tellStarted(pid);
  }

  /** The first outcome counts. */
  settle(outcome: Outcome): void {
    this.#tellStarted(null); // a second answer is no answer: a promise keeps the first
    this.#tellEnded(outcome);
  }

  /** Its keeper is gone. A command may be the cause (`kill -9 -1`), so this counts as a crash. */
  async lose({ reason, greeted, proven }: Farewell): Promise<void> {
    // One that never came up would be tried again and again without a pause, were it an interruption.
    if (!greeted) return this.settle({ kind: 'unrunnable', error: `the keeper process ${reason}` });
    const error = `the keeper process that guards commands ${reason}`;
    // Released now, it might run twice: the lease's time is what is left.
    if (!proven) return this.settle({ kind: 'lost', error: `${error}, and not all that it started could be ended` });
    const tail = await readTail(this.spec.logPath, this.spec.tailBytes);
    this.settle({ kind: 'crashed', error, tail });
  }
}

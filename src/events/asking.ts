/** What the readers of a feed wait for, and the questions that answer many of them at once. */
import type { IssueEvent } from '../core/event.js';
import type { Queryable } from '../db/connect.js';
import { type Page, type Position, pageOfAll, pagesOfIssues, placeInTime, presentPlace } from './read.js';

/** Events of all issues that one answer holds. */
const PAGE = 200;
/** An answer on many issues: so many issues, and events of each. With 16 KiB of output in each event that is 10 MB. */
const ISSUES_AT_ONCE = 32;
const EVENTS_OF_EACH = 20;
/** Where few are watched: a stream that begins reads what was before. */
const EVENTS_OF_FEW = 100;

export interface Answer {
  readonly events: readonly IssueEvent[];
  /** Nothing more will come. */
  readonly over: boolean;
}

interface Want {
  /** Readers with the same key want the same. */
  readonly key: string;
  readonly answer: (answer: never) => void;
}

interface IssueWant extends Want {
  readonly position: Position;
  readonly answer: (answer: Answer) => void;
}

interface AllWant extends Want {
  /** Null: from now on. */
  readonly after: string | null;
  readonly checked: boolean;
  readonly output: boolean;
  readonly answer: (page: Page) => void;
}

export class Asking {
  readonly #db: Queryable;
  readonly #onWant: () => void;
  readonly #issues = new Set<IssueWant>();
  readonly #all = new Set<AllWant>();

  /** @param onWant somebody waits for something that was not asked for yet */
  constructor(db: Queryable, onWant: () => void) {
    this.#db = db;
    this.#onWant = onWant;
  }

  /** Resolves with the next events of an issue, or its end; null where the signal came first. */
  issue(position: Position, signal: AbortSignal): Promise<Answer | null> {
    const key = `${position.id} ${position.after}`;
    return this.#wait(signal, this.#issues, (answer) => ({ key, position, answer }));
  }

  all(after: string | null, checked: boolean, output: boolean, signal: AbortSignal): Promise<Page | null> {
    const key = `${after} ${checked} ${output}`;
    return this.#wait(signal, this.#all, (answer) => ({ key, after, checked, output, answer }));
  }

  #wait<A, W extends Want>(
    signal: AbortSignal,
    wants: Set<W>,
    make: (answer: (answer: A) => void) => W,
  ): Promise<A | null> {
    if (signal.aborted) return Promise.resolve(null);
    return new Promise((resolve) => {
      const give = (answer: A | null) => {
        signal.removeEventListener('abort', stop);
        wants.delete(want);
        resolve(answer);
      };
      const stop = () => give(null);
      const want = make(give);
      wants.add(want);
      signal.addEventListener('abort', stop, { once: true });
      this.#onWant();
    });
  }

  /**
   * Asks for what everybody waits for. Who gets nothing goes on waiting.
   * @returns `full`: more is there to be had at once; `held`: more will be soon
   */
  async round(): Promise<{ full: boolean; held: boolean }> {
    const issues = await this.#askIssues();
    const all = await this.#askAll();
    return { full: issues || all.full, held: all.held };
  }

  async #askIssues(): Promise<boolean> {
    let full = false;
    const groups = [...grouped(this.#issues)];
    const limit = groups.length <= 4 ? EVENTS_OF_FEW : EVENTS_OF_EACH;
    for (let at = 0; at < groups.length; at += ISSUES_AT_ONCE) {
      const some = groups.slice(at, at + ISSUES_AT_ONCE);
      const positions = some.map(([want]) => want.position);
      const pages = await pagesOfIssues(this.#db, positions, limit);
      some.forEach((wants, i) => {
        const page = pages[i] as Answer;
        if (page.events.length === 0 && !page.over) return;
        if (page.events.length >= limit) full = true;
        for (const { answer } of wants) answer(page);
      });
    }
    return full;
  }

  async #askAll(): Promise<{ full: boolean; held: boolean }> {
    let full = false;
    let held = false;
    for (const wants of grouped(this.#all)) {
      const [{ after, checked, output }] = wants;
      const page = await this.#pageFor(after, checked, output);
      full ||= page.full;
      held ||= page.held;
      if (page.next !== after || !checked) for (const { answer } of wants) answer(page);
    }
    return { full, held };
  }

  async #pageFor(after: string | null, checked: boolean, output: boolean): Promise<Page> {
    if (after !== null && checked) return pageOfAll(this.#db, after, PAGE, output);
    const next = after === null ? await presentPlace(this.#db) : await placeInTime(this.#db, after);
    return { events: [], next, held: false, full: true };
  }
}

function grouped<W extends Want>(wants: Iterable<W>): Iterable<[W, ...W[]]> {
  const groups = new Map<string, [W, ...W[]]>();
  for (const want of wants) {
    const group = groups.get(want.key);
    if (group) group.push(want);
    else groups.set(want.key, [want]);
  }
  return groups.values();
}

/** One issue's stream, and where it is. */
export class IssueReader {
  readonly #asking: Asking;
  #position: Position;

  constructor(asking: Asking, id: number, after: number) {
    this.#asking = asking;
    this.#position = { id, after };
  }

  async next(signal: AbortSignal): Promise<Answer | null> {
    const answer = await this.#asking.issue(this.#position, signal);
    const last = answer?.events.at(-1);
    if (last) this.#position = { id: this.#position.id, after: last.seq };
    return answer;
  }
}

/** The stream of all, and where it is. */
export class AllReader {
  readonly #asking: Asking;
  readonly #output: boolean;
  #after: string | null;
  /** A cursor from outside may be of another database, or of before a restore. */
  #checked = false;

  constructor(asking: Asking, after: string | null, output: boolean) {
    this.#asking = asking;
    this.#after = after;
    this.#output = output;
  }

  async next(signal: AbortSignal): Promise<Answer | null> {
    const page = await this.#asking.all(this.#after, this.#checked, this.#output, signal);
    if (page === null) return null;
    this.#after = page.next;
    this.#checked = true;
    return { events: page.events, over: false };
  }
}

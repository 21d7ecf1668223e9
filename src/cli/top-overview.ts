/** How the queue is, as `top` shows it: read through the client alone, a screenful at most, never faster than it is cheap. */
import type { CapeClient, Stats, WorkerRow } from '../client.js';
import { CapeError } from '../core/errors.js';
import { type Issue, isFinal, type Status } from '../core/issue.js';
import { type Filter, matches } from './top-filter.js';
import { Paced } from './top-paced.js';
import { stateOf } from './workers.js';

export interface Overview {
  /** The database's clock when this was read, as far as it is known: milliseconds to add to this host's. */
  readonly clockOffset: number;
  readonly stats: Stats;
  readonly everybodyPaused: boolean;
  /** Those that are there before those that have stopped. */
  readonly workers: readonly WorkerRow[];
  readonly running: readonly Issue[];
  readonly pending: readonly Issue[];
  /** The last to end first. */
  readonly ended: readonly Issue[];
}

const ENDS = ['completed', 'failed', 'cancelled'] as const satisfies readonly Status[];
/** Issues that have ended since the last look are read by their keys, so many at most. */
const MOST_BY_KEY = 10;

/** Reads the overview again and again; remembers what makes the next reading cheaper or better. */
export class OverviewReader {
  readonly #client: CapeClient;
  readonly #stats = new Paced<Stats>();
  readonly #pauses = new Paced<boolean>();
  readonly #workers = new Paced<WorkerRow[]>();
  readonly #lists = { running: new Paced<Issue[]>(), pending: new Paced<Issue[]>(), ended: new Paced<Issue[]>() };
  /** Seen running in the last look. */
  #ran = new Set<number>();
  /** Seen running, and then ended: the list of ended ones goes by id, and an issue that ran for hours has an old one. */
  #finished: Issue[] = [];
  #clockOffset = 0;

  constructor(client: CapeClient) {
    this.#client = client;
  }

  /**
   * One statement after the other: it is one connection, and a refresh must not be felt.
   * @param rows issues of a kind, at most
   * @throws CapeError what the client rejects with
   */
  async read(filter: Filter, rows: number): Promise<Overview> {
    const stats = await this.#stats.read('', () => this.#client.stats());
    const everybodyPaused = await this.#pauses.read('', async () => (await this.#client.pauses()).everybody);
    const workers = await this.#workers.read('', () => this.#readWorkers());
    const lists =
      filter.id === undefined ? await this.#readLists(filter, rows) : await this.#readOne(filter, filter.id);
    return {
      ...{ clockOffset: this.#clockOffset, stats, everybodyPaused, workers: sorted(workers) },
      ...lists,
      ended: byEnd(lists.ended).slice(0, rows),
    };
  }

  /** Something was changed: everything is read anew by the next look. */
  renew(): void {
    for (const paced of [this.#stats, this.#pauses, this.#workers, ...Object.values(this.#lists)]) paced.renew();
  }

  async #readWorkers(): Promise<WorkerRow[]> {
    const rows = await this.#client.workers();
    const [row] = rows;
    // A heartbeat's time and its age give the time there, without a question of its own.
    if (row) this.#clockOffset = row.heartbeat_at.getTime() + row.silent_ms - Date.now();
    return rows;
  }

  async #readLists(filter: Filter, rows: number): Promise<Pick<Overview, 'running' | 'pending' | 'ended'>> {
    const list = async (name: 'running' | 'pending' | 'ended', all: readonly Status[]): Promise<Issue[]> => {
      const status = all.filter((one) => filter.status?.includes(one) ?? true);
      if (status.length === 0) return [];
      const { search, worker } = filter;
      const asked = { status, search, worker, limit: rows, summary: true };
      return this.#lists[name].read(JSON.stringify(asked), async () => (await this.#client.page(asked)).items);
    };
    const running = await list('running', ['started']);
    const pending = await list('pending', ['pending']);
    const ended = await list('ended', ENDS);
    await this.#followUp(running, rows);
    const known = new Set([...running, ...pending, ...ended].map(({ id }) => id));
    return {
      ...{ running, pending },
      ended: [...ended, ...this.#finished.filter((issue) => !known.has(issue.id) && matches(filter, issue))],
    };
  }

  async #readOne(filter: Filter, id: number): Promise<Pick<Overview, 'running' | 'pending' | 'ended'>> {
    const found = await this.#get(id);
    const all = found && matches(filter, found) ? [found] : [];
    return {
      running: all.filter(({ status }) => status === 'started'),
      pending: all.filter(({ status }) => status === 'pending'),
      ended: all.filter(({ status }) => isFinal(status)),
    };
  }

  /** Looks what became of those that ran, and whether one of those that had ended was started again. */
  async #followUp(running: readonly Issue[], rows: number): Promise<void> {
    const now = new Set(running.map(({ id }) => id));
    const gone = [...this.#ran].filter((id) => !now.has(id)).slice(0, MOST_BY_KEY);
    this.#ran = now;
    const oldest = this.#finished.shift();
    for (const id of oldest ? [...gone, oldest.id] : gone) {
      const issue = await this.#get(id);
      this.#finished = this.#finished.filter((one) => one.id !== id);
      if (issue && isFinal(issue.status)) this.#finished.push(issue);
    }
    this.#finished = this.#finished.slice(-rows);
  }

  /** Undefined where it was deleted. */
  async #get(id: number): Promise<Issue | undefined> {
    return this.#client.get(id).catch((error) => {
      if (isMissing(error)) return undefined;
      throw error;
    });
  }
}

/** There is no such issue (any more). */
export function isMissing(error: unknown): boolean {
  return error instanceof CapeError && error.missing;
}

const PRESENT = ['running', 'paused', 'stale', 'stopped'];

function sorted(workers: readonly WorkerRow[]): WorkerRow[] {
  const rank = (row: WorkerRow) => PRESENT.indexOf(stateOf(row));
  return [...workers].sort((a, b) => rank(a) - rank(b));
}

/** A row that somebody wrote by hand may have no end. */
function byEnd(issues: readonly Issue[]): Issue[] {
  const end = (issue: Issue) => issue.completed_at?.getTime() ?? 0;
  return [...issues].sort((a, b) => end(b) - end(a) || b.id - a.id);
}

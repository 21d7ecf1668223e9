/** Watches one issue: its row, its attempts, and the output of the one that is shown, from wherever it is to be had. */
import { hostname } from 'node:os';
import type { CapeClient } from '../client.js';
import type { Attempt, Issue } from '../core/issue.js';
import type { OutputPage } from './top-output-page.js';
import { OutputReader } from './top-output-reader.js';
import { OutputText } from './top-output-text.js';
import { Paced } from './top-paced.js';

interface Shown {
  readonly attempt: Attempt;
  readonly text: OutputText;
  /** Null where its file is not on this host. */
  readonly reader: OutputReader | null;
  readonly note: string | null;
}

export class OutputWatch {
  readonly id: number;
  readonly #client: CapeClient;
  /** Each has 8 KiB of output with it: asked for at once where the row tells of a change, else at their own pace. */
  readonly #attempts = new Paced<Attempt[]>();
  #known: { issue: Issue; attempts: readonly Attempt[] } | null = null;
  #shown: Shown | null = null;

  constructor(client: CapeClient, id: number) {
    this.#client = client;
    this.id = id;
  }

  /** Asks the database how the issue is. @throws CapeError what the client rejects with */
  async look(): Promise<void> {
    const issue = await this.#client.get(this.id);
    const state = `${issue.status} ${issue.attempt} ${issue.updated_at.getTime()}`;
    const attempts = await this.#attempts.read(state, () => this.#client.attempts(this.id));
    this.#known = { issue, attempts };
  }

  /** Reads what was added. @param number null = the latest attempt @param width of the terminal */
  async page(number: number | null, width: number): Promise<OutputPage | null> {
    if (!this.#known) return null;
    const { issue, attempts } = this.#known;
    const attempt = attempts.findLast((one) => number === null || one.attempt === number);
    if (!attempt) return { issue, attempts, attempt, first: 0, rows: [], note: 'it has not been started' };
    const shown = await this.#show(attempt, width);
    return { issue, attempts, attempt, ...shown.text.rows(), note: shown.note };
  }

  async #show(attempt: Attempt, width: number): Promise<Shown> {
    const before = this.#shown;
    const same = before?.attempt.attempt === attempt.attempt;
    // Ended now: without a file on this host its end is to be had from the database.
    const stale = same && before.reader === null && before.attempt.ended_at === null && attempt.ended_at !== null;
    let shown: Shown = same && !stale ? { ...before, attempt } : begin(attempt, width);
    shown.text.resize(width);
    const more = await shown.reader?.read();
    if (more) shown.text.append(more);
    // Pruned, or it printed nothing.
    if (more === null && attempt.ended_at !== null) shown = atEnd(attempt, width);
    this.#shown = shown;
    return shown;
  }
}

function begin(attempt: Attempt, width: number): Shown {
  const { log_path: path, log_host: host } = attempt;
  if (path !== null && host === hostname()) {
    return { attempt, text: new OutputText(width), reader: new OutputReader(path), note: null };
  }
  return atEnd(attempt, width);
}

/** What the database keeps. */
function atEnd(attempt: Attempt, width: number): Shown {
  const text = new OutputText(width);
  text.append(attempt.tail ?? '');
  return { attempt, text, reader: null, note: noteOn(attempt) };
}

function noteOn({ ended_at, tail, log_path, log_host }: Attempt): string {
  if (tail === '') return 'it printed nothing';
  const place = log_path === null ? 'it has no log file' : `the file is ${log_path} on host ${log_host ?? 'unknown'}`;
  if (ended_at === null) return `runs on another host, its output is shown once it has ended; ${place}`;
  return `${tail === null ? 'no output is kept here' : 'this is the end of the output'}; ${place}`;
}

/** `top` on a terminal: looks at the queue once a second, draws, and does what the keys ask for. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { CapeClient } from '../client.js';
import { CapeError, EXIT } from '../core/errors.js';
import { Interruption } from './interruption.js';
import { actOn } from './top-actions.js';
import { filterOf } from './top-filter.js';
import { type FrameOptions, frameOf, keysOf } from './top-frame.js';
import { timeOfDay } from './top-header.js';
import { type Action, type Change, type Key, type Model, press, type Scene, START } from './top-model.js';
import { OutputWatch } from './top-output.js';
import { type OutputPage, outputHeight } from './top-output-page.js';
import { isMissing, type Overview, OverviewReader } from './top-overview.js';
import { LOOK_MS } from './top-paced.js';
import { paintFor } from './top-paint.js';
import { Screen } from './top-screen.js';
import { keyOfIssue, meantBy } from './top-sections.js';

/** A log on this host is read so often while it is looked at. */
const OUTPUT_MS = 250;
/** A look that takes longer is told about. */
const SLOW_MS = 3000;
/** More issues of a kind fit no screen that we know of. */
const MOST_ROWS = 100;

export interface LiveOptions {
  readonly client: CapeClient;
  /** What people call it. */
  readonly database: string;
  readonly input: NodeJS.ReadStream;
  readonly out: NodeJS.WriteStream;
}

/**
 * Runs until the person quits. The terminal is as before afterwards, also where it ends by an error or a signal.
 * @returns the exit code
 * @throws CapeError where the first look fails; later ones are tried again
 */
export async function runLive(options: LiveOptions): Promise<number> {
  const reader = new OverviewReader(options.client);
  const first = await reader.read(filterOf(''), Math.min(MOST_ROWS, options.out.rows));
  const interruption = new Interruption();
  const live = new Live(options, reader, first);
  try {
    await live.run(interruption.signal);
    return interruption.signal.aborted ? interruption.exitCode : EXIT.ok;
  } finally {
    interruption.close();
  }
}

class Live {
  readonly #client: CapeClient;
  readonly #reader: OverviewReader;
  readonly #screen: Screen;
  readonly #frame: Pick<FrameOptions, 'database' | 'paint'>;
  readonly #quit = new AbortController();
  #model: Model;
  #overview: Overview;
  #watch: OutputWatch | null = null;
  #page: OutputPage | null = null;
  #reading: Promise<void> | null = null;
  #lookBegan: number | null = null;
  #trouble: { readonly since: string; readonly message: string } | null = null;
  /** Cuts the pause before the next look short. */
  #wake: AbortController = new AbortController();

  constructor({ client, database, input, out }: LiveOptions, reader: OverviewReader, first: Overview) {
    this.#client = client;
    this.#reader = reader;
    this.#overview = first;
    this.#model = { ...START, chosen: firstIssue(first) };
    this.#frame = { database, paint: paintFor(out) };
    this.#screen = new Screen(input, out, {
      onKey: (key) => this.#press(key),
      onResize: () => this.#draw(),
      onEnd: () => this.#quit.abort(),
    });
  }

  async run(interrupted: AbortSignal): Promise<void> {
    const over = AbortSignal.any([this.#quit.signal, interrupted]);
    const end = new Promise<void>((resolve) => over.addEventListener('abort', () => resolve()));
    over.addEventListener('abort', () => this.#wake.abort());
    if (over.aborted) return;
    try {
      this.#screen.enter();
      this.#draw();
      // Nothing of it is waited for at the end: the database may be slow to answer.
      await Promise.race([end, this.#look(over), this.#tick(over)]);
    } finally {
      this.#quit.abort();
      this.#screen.leave();
    }
  }

  async #look(over: AbortSignal): Promise<void> {
    while (!over.aborted) {
      this.#wake = new AbortController();
      this.#lookBegan = performance.now();
      const watch = this.#watch;
      try {
        if (watch) await watch.look();
        else await this.#readOverview(this.#model.filter);
        this.#trouble = null;
      } catch (error) {
        if (!(error instanceof CapeError)) throw error;
        this.#onTrouble(error, watch);
      }
      this.#lookBegan = null;
      await this.#readOutput();
      this.#draw();
      await sleep(LOOK_MS, undefined, { signal: this.#wake.signal }).catch(() => {});
    }
  }

  async #readOverview(filter: string): Promise<void> {
    this.#overview = await this.#reader.read(filterOf(filter), this.#rows);
    // Of an older filter the first issue may not be among the rows to come.
    if (this.#model.chosen !== null || this.#model.filter !== filter) return;
    this.#model = { ...this.#model, chosen: firstIssue(this.#overview) };
  }

  #onTrouble(error: CapeError, watch: OutputWatch | null): void {
    if (watch && isMissing(error)) {
      // It may have been left meanwhile.
      if (watch !== this.#watch) return;
      this.#open(null);
      this.#model = { ...this.#model, page: 'overview', output: null, notice: error.message };
      return;
    }
    this.#trouble = { since: this.#trouble?.since ?? timeOfDay(Date.now()), message: error.message };
  }

  /** The clocks on the screen, and output that grows. */
  async #tick(over: AbortSignal): Promise<void> {
    while (!over.aborted) {
      await sleep(this.#watch ? OUTPUT_MS : LOOK_MS, undefined, { signal: over }).catch(() => {});
      await this.#readOutput();
      this.#draw();
    }
  }

  /** One reading at a time: two would both take what was added since the last. */
  #readOutput(): Promise<void> {
    this.#reading ??= this.#readPage().finally(() => {
      this.#reading = null;
    });
    return this.#reading;
  }

  async #readPage(): Promise<void> {
    const watch = this.#watch;
    const page = await watch?.page(this.#model.output?.attempt ?? null, this.#screen.width);
    // It may have been left meanwhile.
    if (watch === this.#watch) this.#page = page ?? null;
  }

  #press(key: Key): void {
    const { model, action } = press(this.#model, key, this.#scene());
    const before = this.#model;
    this.#model = model;
    const opened = model.output?.id ?? null;
    if (opened !== (this.#watch?.id ?? null)) this.#open(opened);
    if (opened !== (before.output?.id ?? null) || model.filter !== before.filter) this.#wake.abort();
    if (action) this.#do(action);
    this.#draw();
  }

  #open(id: number | null): void {
    this.#watch = id === null ? null : new OutputWatch(this.#client, id);
    this.#page = null;
  }

  #do(action: Action): void {
    if (action.do === 'quit') this.#quit.abort();
    else if (action.do === 'redraw') this.#screen.clear();
    else if (action.do === 'suspend') this.#screen.suspend();
    else void this.#change(action);
  }

  async #change(action: Change): Promise<void> {
    const notice = await actOn(this.#client, action);
    this.#model = { ...this.#model, notice };
    this.#reader.renew();
    this.#wake.abort();
    this.#draw();
  }

  #scene(): Scene {
    const { chosen: key } = this.#model;
    const chosen = meantBy(key);
    const rows = keysOf(this.#overview, this.#options());
    const page = this.#page;
    return {
      rows,
      chosen: key !== null && rows.includes(key) ? chosen : {},
      paused: this.#overview.workers.find(({ id }) => id === chosen.worker)?.paused ?? false,
      everybodyPaused: this.#overview.everybodyPaused,
      output: {
        first: page?.first ?? 0,
        end: (page?.first ?? 0) + (page?.rows.length ?? 0),
        height: page ? outputHeight(page, this.#screen.height) : 1,
      },
      attempts: page?.attempts.map(({ attempt }) => attempt) ?? [],
    };
  }

  #options(): FrameOptions {
    const { width, height } = this.#screen;
    return { ...this.#frame, width, height, now: Date.now(), trouble: this.#troubleNow() };
  }

  #troubleNow(): string | null {
    const waited = this.#lookBegan === null ? 0 : performance.now() - this.#lookBegan;
    if (this.#trouble !== null) return `since ${this.#trouble.since}: ${this.#trouble.message}`;
    return waited < SLOW_MS ? null : `no answer from the database for ${Math.floor(waited / 1000)}s`;
  }

  get #rows(): number {
    return Math.min(MOST_ROWS, this.#screen.height);
  }

  #draw(): void {
    if (this.#quit.signal.aborted) return;
    this.#screen.draw(frameOf(this.#model, { overview: this.#overview, output: this.#page }, this.#options()));
  }
}

/** What is most likely to be opened. */
function firstIssue({ running, ended, pending }: Overview): string | null {
  const [issue] = [...running, ...ended, ...pending];
  return issue ? keyOfIssue(issue.id) : null;
}

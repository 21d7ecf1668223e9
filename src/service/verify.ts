/** Waiting until a service is really up: its manager says so, and its worker is seen in the database. */
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { WorkerRow } from '../client.js';
import type { ServiceManager, ServiceState } from './manager.js';
import type { RowReader } from './worker-row.js';

/** From the moment that it is ready. How long it may take to get there is the manager's to judge. */
const SEEN_WITHIN_MS = 60_000;
/** Where the manager does not judge: a start that takes so long is reported. */
const READY_WITHIN_MS = 10 * 60_000;
const LOOK_EVERY_MS = 250;
/** Between the end of the old process and the start of the new one it is stopped for a moment. */
const STOPPED_FOR_MS = 10_000;

export interface UpOptions {
  readonly manager: ServiceManager;
  readonly workerId: string;
  /** Null: the database can't be asked from here. */
  readonly rows: RowReader | null;
  /** The process that is to be replaced: how long it drains is not limited. */
  readonly oldPid: number | null;
  /** Told of every look. */
  readonly onState?: (state: ServiceState) => void;
  readonly seenWithinMs?: number;
}

export type Up =
  | { readonly up: true; readonly state: ServiceState; readonly row: WorkerRow | null }
  /** `why` in one line. */
  | { readonly up: false; readonly state: ServiceState; readonly why: string };

/** Resolves when it is up, or as soon as it is clear that it does not come up. */
export async function awaitUp(options: UpOptions): Promise<Up> {
  const { manager, workerId, oldPid, onState } = options;
  let state = await leftBehind(options);
  const start = new Start(oldPid !== null);
  for (;;) {
    onState?.(state);
    const why = start.whyDown(state);
    if (why !== null) return { up: false, state, why };
    if (state.active === 'running' && state.pid !== null) return awaitRow(options, state, start);
    await sleep(LOOK_EVERY_MS);
    state = await manager.state(workerId);
  }
}

/** Waits until the process that drains has gone. */
async function leftBehind({ manager, workerId, oldPid, onState }: UpOptions): Promise<ServiceState> {
  for (;;) {
    const state = await manager.state(workerId);
    if (oldPid === null || state.pid !== oldPid) return state;
    onState?.(state);
    await sleep(LOOK_EVERY_MS);
  }
}

/** One start, looked at again and again. */
class Start {
  readonly #begun = performance.now();
  #stoppedSince: number | null = null;
  #restarts = Number.POSITIVE_INFINITY;

  /** @param replaces the end of the process before is still to be seen: it is none of this start's */
  constructor(private readonly replaces: boolean) {}

  /**
   * Why it is not coming up; null while it may. A process that ended is a failed start, also where the manager will try
   * again: the log says why, and a person is there to read it.
   */
  whyDown(state: ServiceState): string | null {
    const now = performance.now();
    const end = state.lastEnd === null ? '' : ` (${state.lastEnd})`;
    if (state.active === 'failed') return `it failed${end}`;
    const again = (state.restarts ?? 0) > this.#restarts;
    const waits = !this.replaces && state.active === 'starting' && state.pid === null && state.lastEnd !== null;
    if (again || waits) return `it ended${end}, and is started again by itself`;
    // A start by hand begins the count anew.
    this.#restarts = Math.min(this.#restarts, state.restarts ?? 0);
    this.#stoppedSince = state.active === 'stopped' ? (this.#stoppedSince ?? now) : null;
    if (this.#stoppedSince !== null && now - this.#stoppedSince > STOPPED_FOR_MS) return `it does not run${end}`;
    return now - this.#begun > READY_WITHIN_MS ? 'it is still starting after 10 minutes' : null;
  }
}

async function awaitRow(options: UpOptions, running: ServiceState, start: Start): Promise<Up> {
  const { manager, workerId, rows, onState, seenWithinMs = SEEN_WITHIN_MS } = options;
  if (rows === null) return { up: true, state: running, row: null };
  const limit = performance.now() + seenWithinMs;
  for (;;) {
    const found = await rows.read(workerId);
    // Asked after the row: one that is there may be of a process that has just ended.
    const state = await manager.state(workerId);
    onState?.(state);
    const why = start.whyDown(state);
    if (why !== null) return { up: false, state, why };
    if (typeof found !== 'string' && found.pid === state.pid && found.host === hostname() && found.stopped_at === null)
      return { up: true, state, row: found };
    if (performance.now() > limit) return { up: false, state, why: unseen(found, state, seenWithinMs) };
    await sleep(LOOK_EVERY_MS);
  }
}

function unseen(found: WorkerRow | string, { pid }: ServiceState, ms: number): string {
  const within = `${Math.round(ms / 1000)} s`;
  const said = typeof found === 'string' ? found : `its row is of process ${found.pid} on ${found.host}`;
  return `process ${pid} runs, but was not seen in the database within ${within}: ${said}`;
}

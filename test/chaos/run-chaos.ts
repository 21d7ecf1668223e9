/** One run from its empty folder to its verdict. */
import { setMaxListeners } from 'node:events';
import { writeFileSync } from 'node:fs';
import { uptime } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { check, type Violation } from './checker.js';
import { type Deeds, strike } from './faults.js';
import { Feeder } from './feeder.js';
import { type FaultRecord, type History, readDatabase } from './history.js';
import { planIssues, planLongIssues } from './issues.js';
import { readLedger } from './ledger.js';
import type { Fence } from './sabotage.js';
import { type FaultPlan, planFaults, planProvocation } from './schedule.js';
import { assertUsable, prepareStage, type Stage } from './stage.js';

export interface ChaosOptions {
  readonly seed: number;
  /** How long faults are injected; the queue drains after that. */
  readonly minutes: number;
  /** A fence that the workers' program is to do without. */
  readonly without: Fence | null;
  /** The faults and issues of a run without a fence, whatever program it runs: with all fences nothing may be found. */
  readonly provoke: boolean;
  /** Folder of the run; null: a new one of the system's temporary folder. */
  readonly dir: string | null;
  /** Keep the folder whatever comes of it. */
  readonly keep: boolean;
  /** Told how it goes, a line each. */
  readonly say: (line: string) => void;
  /** Aborted: everything is ended and removed. */
  readonly signal: AbortSignal;
}

export interface ChaosResult {
  readonly history: History;
  readonly violations: readonly Violation[];
  /** Named where it was kept. */
  readonly folder: string | null;
  /** False: no small file systems could be mounted, and there was no full disk. */
  readonly disks: boolean;
  /** The longest time between two looks at the processes, seconds. */
  readonly worstGap: number;
  /** From the last fault to an empty queue, seconds. */
  readonly drainSeconds: number;
}

const PROGRESS_MS = 5000;
/** Before the first fault; a machine that is busy beyond measure needs half a minute. */
const BEGIN_LIMIT_MS = 120_000;
/** Lease, rescue, a command of 30 s, pauses of up to a minute for a worker that could start nothing, and a slow machine. */
const DRAIN_LIMIT_S = 180;
/** A stopping worker lets what it runs finish; nothing runs any more. */
const LEAVE_LIMIT_MS = 40_000;
/** What a sweep after a success has still to end. */
const SURVIVORS_MS = 5000;

/** @throws where the harness itself can't go on; violations are results */
export async function runChaos(options: ChaosOptions): Promise<ChaosResult> {
  const { say, signal, without, dir } = options;
  setMaxListeners(0, signal); // every fault that lasts listens to it
  if (dir !== null) assertUsable(dir);
  say('making a folder, a Postgres and four workers of its own');
  const stage = await prepareStage(dir, without);
  let keep = options.keep;
  try {
    if (!stage.disks) say('no small file systems can be mounted here (that takes root): full disks are left out');
    const run = new Run(stage, options);
    const history = await run.play();
    const violations = check(history);
    writeFileSync(join(stage.folder, 'history.json'), JSON.stringify({ violations, ...history }, null, 1));
    keep ||= violations.length > 0 && without === null;
    const { disks, sightings, folder } = stage;
    const { drainSeconds } = run;
    return { history, violations, disks, worstGap: sightings.worstGap, drainSeconds, folder: keep ? folder : null };
  } finally {
    await stage.strike(keep && !signal.aborted);
  }
}

class Run {
  drainSeconds = 0;
  readonly #stage: Stage;
  readonly #options: ChaosOptions;
  readonly #feeder: Feeder;
  readonly #faults: FaultRecord[] = [];
  readonly #deeds: Deeds = { cancels: [], requeued: [] };

  constructor(stage: Stage, options: ChaosOptions) {
    this.#stage = stage;
    this.#options = options;
    this.#feeder = new Feeder(stage.db);
  }

  async play(): Promise<History> {
    const { seed, minutes, signal, say } = this.#options;
    const provoke = this.#options.provoke || this.#options.without !== null;
    const { workers, sightings, disks, db, ledger } = this.#stage;
    const plans = provoke ? planProvocation() : planFaults({ seed, minutes, workers: workers.length, disk: disks });
    const issues = provoke ? planLongIssues(10) : planIssues(seed, minutes);
    sightings.start();
    for (const worker of workers) await worker.up();
    await this.#until(
      async () => (await db.query('select from cape_workers')).length === workers.length,
      'four workers',
    );
    const began = performance.now();
    const progress = setInterval(() => say(this.#progress(began)), PROGRESS_MS);
    try {
      const fed = this.#feeder.feed(issues, signal);
      // What is to be taken over has to run before its worker is cut off.
      if (provoke) await this.#until(() => readLedger(ledger).length >= issues.length, 'every issue to run');
      await Promise.all([fed, this.#inject(plans, performance.now()), pause(minutes * 60_000, null, { signal })]);
      signal.throwIfAborted();
      say(`${this.#progress(began)}; no more faults`);
      return await this.#settle();
    } finally {
      clearInterval(progress);
    }
  }

  /** The beginning: nothing is in anybody's way yet. */
  async #until(check: () => boolean | Promise<boolean>, what: string): Promise<void> {
    const { signal } = this.#options;
    for (const since = performance.now(); !(await check()); await pause(50)) {
      signal.throwIfAborted();
      if (performance.now() - since > BEGIN_LIMIT_MS)
        throw new Error(`waited too long for ${what}; see the output of the workers`);
    }
  }

  async #inject(plans: readonly FaultPlan[], began: number): Promise<void> {
    const { signal } = this.#options;
    const healed: Promise<void>[] = [];
    for (const plan of plans) {
      await pause(Math.max(0, began + plan.atMs - performance.now()), null, { signal }).catch(() => {});
      if (signal.aborted) break;
      healed.push(this.#injectOne(plan));
    }
    await Promise.all(healed);
  }

  async #injectOne(plan: FaultPlan): Promise<void> {
    const { workers } = this.#stage;
    const worker = plan.worker === null ? null : workers[plan.worker]!.name;
    const from = uptime();
    const heal = await strike(this.#stage, plan, this.#deeds);
    if (heal) {
      await pause(plan.forMs, null, { signal: this.#options.signal }).catch(() => {});
      await heal();
    }
    this.#faults.push({ kind: plan.kind, worker, from, until: uptime(), hit: heal !== null });
  }

  /** Everything is well again: the queue has to become empty, and the workers to leave when they are asked to. */
  async #settle(): Promise<History> {
    const { workers, sightings, db, ledger } = this.#stage;
    const since = uptime();
    const undrainedAfter = (await this.#drain(since)) ? null : DRAIN_LIMIT_S;
    this.drainSeconds = uptime() - since;
    const left = await Promise.all(
      workers.map(async (worker) => ({ worker, well: await worker.close(LEAVE_LIMIT_MS) })),
    );
    const survivors = await this.#waitForSurvivors();
    return {
      inserted: this.#feeder.inserted,
      ...(await readDatabase(db)),
      ledger: readLedger(ledger),
      sightings: sightings.all(),
      survivors,
      faults: this.#faults,
      ...this.#deeds,
      departures: workers.flatMap(({ departures }) => departures),
      stuck: left.filter(({ well }) => !well).map(({ worker }) => worker.name),
      undrainedAfter,
    };
  }

  async #drain(since: number): Promise<boolean> {
    const { db } = this.#stage;
    while (uptime() - since < DRAIN_LIMIT_S) {
      this.#options.signal.throwIfAborted();
      const left = await db
        .query(
          `select from cape_issues where status in ('pending', 'started') union all select from cape_leases limit 1`,
        )
        .catch(() => null);
      if (left?.length === 0) return true;
      await pause(200);
    }
    return false;
  }

  async #waitForSurvivors(): Promise<ReturnType<Stage['sightings']['survivors']>> {
    const { sightings } = this.#stage;
    const until = performance.now() + SURVIVORS_MS;
    let found = sightings.survivors();
    while (found.length > 0 && performance.now() < until) {
      await pause(100);
      found = sightings.survivors();
    }
    return found;
  }

  #progress(began: number): string {
    const seconds = Math.round((performance.now() - began) / 1000);
    const { inserted } = this.#feeder;
    return `${String(seconds).padStart(4)} s  ${this.#faults.length} faults over, ${inserted.length} issues inserted, ${this.#stage.sightings.all().length} runs seen`;
  }
}

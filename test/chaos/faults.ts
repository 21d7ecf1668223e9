/** Each fault: what is done, and what makes it good again. */
import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { identify, isAlive } from '../../src/execution/processes.js';
import { cancel } from '../../src/queue/operate.js';
import type { ProxyMode } from '../support/proxy.js';
import { BY_HAND, type Cancel } from './history.js';
import type { FaultKind, FaultPlan } from './schedule.js';
import type { Stage } from './stage.js';
import type { WorkerSlot } from './worker-slot.js';

/** What people did to issues: the checker has to know. */
export interface Deeds {
  readonly cancels: Cancel[];
  readonly requeued: number[];
}

/** Makes it good again. Null: there was nothing to strike. */
type Heal = (() => void | Promise<void>) | null;
type Strike = (stage: Stage, plan: FaultPlan, deeds: Deeds) => Heal | Promise<Heal>;

const NOTHING_TO_HEAL = () => {};
const HOURS_MS = [-72, -5, -1, -0.02, 0.02, 1, 5, 72].map((hours) => hours * 3_600_000);
const DELAYS_MS = [30, 100, 250, 500, 900];

const STRIKES: Record<FaultKind, Strike> = {
  'kill worker': ofWorker((worker) => {
    worker.signal('SIGKILL');
    return () => worker.up();
  }),
  'kill keeper': ofWorker((worker) => kill(worker.keeper())),
  'kill warden': ofWorker((worker) => kill(worker.warden())),
  'kill worker and keeper': ofWorker((worker) => {
    const keeper = worker.keeper();
    worker.signal('SIGKILL');
    kill(keeper);
    return () => worker.up();
  }),
  'stop worker': ofWorker((worker) => {
    worker.signal('SIGSTOP');
    return () => worker.signal('SIGCONT');
  }),
  'stop keeper': ofWorker((worker) => stopProcess(worker.keeper())),
  'term worker': ofWorker((worker) => {
    worker.signal('SIGTERM');
    return () => worker.up();
  }),
  'term worker twice': ofWorker(async (worker) => {
    worker.signal('SIGTERM');
    await pause(700); // two within half a second are one
    worker.signal('SIGTERM');
    return () => worker.up();
  }),
  'reset connections': ofWorker((worker) => {
    worker.proxy.reset();
    return NOTHING_TO_HEAL;
  }),
  'refuse connections': ofWorker((worker) => {
    worker.proxy.reset();
    return network(worker, 'refuse');
  }),
  'cut replies': ofWorker((worker) => network(worker, 'cut')),
  'black hole': ofWorker((worker) => {
    const heal = network(worker, 'blackhole');
    return () => {
      heal();
      worker.proxy.reset(); // what was swallowed is missing in the middle of a conversation
    };
  }),
  'stall and deliver': ofWorker((worker) => network(worker, 'stall')),
  'slow network': ofWorker((worker, { pick }) => {
    worker.proxy.delayMs = DELAYS_MS[pick % DELAYS_MS.length]!;
    return () => {
      worker.proxy.delayMs = 0;
    };
  }),
  'deaf listener': ofWorker((worker) => network(worker, 'deaf')),
  'full disk': ofWorker((worker) => {
    const filler = join(worker.logDir, 'filler');
    fill(filler);
    return () => rmSync(filler, { force: true });
  }),
  'clock jump': ofWorker((worker, { pick }) => {
    worker.shiftClock(HOURS_MS[pick % HOURS_MS.length]!);
    return () => worker.shiftClock(0);
  }),
  'stop Postgres fast': async ({ postgres }) => {
    await postgres.stop('SIGINT');
    return () => postgres.start();
  },
  'stop Postgres immediately': async ({ postgres }) => {
    await postgres.stop('SIGQUIT');
    return () => postgres.start();
  },
  'kill Postgres': async ({ postgres }) => {
    await postgres.kill();
    return () => postgres.start();
  },
  'terminate sessions': (stage, { pick }) => terminate(stage, "application_name like 'cape-worker %'", 1 + (pick % 6)),
  'terminate listeners': (stage) => terminate(stage, "application_name like 'cape-worker % listen'", 4),
  'lock rows': lockRows,
  'cancel an issue': async ({ db }, { pick }, { cancels }) => {
    const issue = await pickIssue(db, ['pending', 'started'], pick);
    if (issue === null) return null;
    const noted = cancels.push({ issue, state: null }) - 1;
    const { state } = await cancel(db, issue);
    cancels[noted] = { issue, state };
    return NOTHING_TO_HEAL;
  },
  'requeue by hand': async ({ db }, { pick }, { requeued }) => {
    const issue = await pickIssue(db, ['started'], pick);
    if (issue === null) return null;
    requeued.push(issue);
    await db.transaction(async (tx) => {
      await tx.query(`set local application_name = '${BY_HAND}'`);
      await tx.query(`update cape_issues set status = 'pending' where id = $1 and status = 'started'`, [issue]);
    });
    return NOTHING_TO_HEAL;
  },
};

/** Does it. @returns how to make it good again; null where there was nothing to strike, or no way to do so just then */
export async function strike(stage: Stage, plan: FaultPlan, deeds: Deeds): Promise<Heal> {
  try {
    return await STRIKES[plan.kind](stage, plan, deeds);
  } catch {
    // A statement of ours while the database is away, or on a row that has moved on: faults meet each other too.
    return null;
  }
}

function ofWorker(work: (worker: WorkerSlot, plan: FaultPlan) => Heal | Promise<Heal>): Strike {
  return ({ workers }, plan) => {
    const worker = workers[plan.worker!]!;
    return worker.pid === null ? null : work(worker, plan);
  };
}

function network(worker: WorkerSlot, mode: ProxyMode): () => void {
  worker.proxy.mode = mode;
  return () => {
    worker.proxy.mode = 'pass';
  };
}

function kill(pid: number | null): Heal {
  if (pid === null) return null;
  try {
    process.kill(pid, 'SIGKILL');
    return NOTHING_TO_HEAL;
  } catch {
    return null; // it has just left
  }
}

function stopProcess(pid: number | null): Heal {
  const process_ = pid === null ? null : identify(pid);
  if (!process_) return null;
  process.kill(process_.pid, 'SIGSTOP');
  return () => {
    if (isAlive(process_)) process.kill(process_.pid, 'SIGCONT');
  };
}

/** Until not one byte more fits. */
function fill(path: string): void {
  const fd = openSync(path, 'w');
  for (const size of [1 << 20, 4096, 1]) fillBy(fd, Buffer.alloc(size));
  closeSync(fd);
}

function fillBy(fd: number, block: Buffer): void {
  try {
    for (;;) writeSync(fd, block);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  }
}

async function terminate({ db }: Stage, which: string, most: number): Promise<Heal> {
  const found = await db.query(
    `select pg_terminate_backend(pid) from pg_stat_activity where ${which} order by md5(pid::text) limit ${most}`,
  );
  return found.length > 0 ? NOTHING_TO_HEAL : null;
}

/** Somebody's transaction that changes rows and does not come to its end. */
async function lockRows({ db }: Stage, { forMs }: FaultPlan): Promise<Heal> {
  let locked = 0;
  const held = db.transaction(async (tx) => {
    const rows = await tx.query(
      `select id from cape_issues where status in ('pending', 'started') order by md5(id::text) limit 4 for update skip locked`,
    );
    locked = rows.length;
    await pause(forMs);
    throw new Error('rolled back');
  });
  const ended = held.catch(() => {});
  await Promise.race([ended, pause(500)]);
  return locked > 0 ? () => ended : null;
}

async function pickIssue(db: Stage['db'], statuses: readonly string[], pick: number): Promise<number | null> {
  const rows = await db.query<{ id: number }>(
    `select id from cape_issues where status in (${statuses.map((status) => `'${status}'`).join(', ')}) order by id`,
  );
  return rows[pick % Math.max(1, rows.length)]?.id ?? null;
}

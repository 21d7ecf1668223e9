/**
 * Shutdown under fire: real workers are told to stop at every moment of an attempt, in every way. The issue is never
 * lost and never charged, its command never runs twice at once, nothing is left, and the worker leaves in time.
 */
import { setTimeout as pause } from 'node:timers/promises';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { until } from '../support/until.js';
import { AWAY, CLAIMING, type Moment, RUNNING, SETTLING, STARTING } from './stopping-moments.js';
import { GRACE_MS, NEXT_SIGNAL_MS, openStage, type Stage } from './stopping-stage.js';

interface Plan {
  readonly name: string;
  /** Each after a pause, milliseconds; one of NEXT_SIGNAL_MS begins when the worker has heard the signal before. */
  readonly signals: readonly (readonly [NodeJS.Signals, afterMs: number])[];
  /** Given to the worker as --drain-timeout. */
  readonly drainMs?: number;
  /** It did not leave in its own time, so its lease stays, and its end counts as a crash of the issue. */
  readonly harsh?: true;
}

const once: Plan = { name: 'SIGTERM', signals: [['SIGTERM', 0]] };
const short: Plan = { name: 'SIGTERM with a short drain timeout', signals: [['SIGTERM', 0]], drainMs: 300 };
const twice: Plan = {
  name: 'SIGTERM twice',
  signals: [
    ['SIGTERM', 0],
    ['SIGTERM', NEXT_SIGNAL_MS],
  ],
};
const thrice: Plan = {
  name: 'SIGTERM three times',
  signals: [...twice.signals, ['SIGTERM', NEXT_SIGNAL_MS]],
  harsh: true,
};
const ctrlC: Plan = {
  name: 'SIGINT twice within half a second',
  signals: [
    ['SIGINT', 0],
    ['SIGINT', 100],
  ],
  drainMs: 1500,
};
const hangUp: Plan = {
  name: 'SIGHUP, then SIGTERM',
  signals: [
    ['SIGHUP', 0],
    ['SIGTERM', NEXT_SIGNAL_MS],
  ],
};
const killed = (afterMs: number): Plan => ({
  name: `SIGTERM, and SIGKILL after ${afterMs} ms`,
  signals: [
    ['SIGTERM', 0],
    ['SIGKILL', afterMs],
  ],
  harsh: true,
});

/** Beyond drain timeout and grace: a busy machine, and the last words with a database that answers. */
const LEAVES_MS = 10_000;
/** The same where it does not answer: what has ended is tried for ten seconds, connections are given up after three. */
const LEAVES_AWAY_MS = 25_000;
/** How long a command may go on by itself at most, where nothing ends it: the longest "sleep" of the moments. */
const RUNS_MS = 8_000;
const AT_ONCE = 4;

/** The longest that one took beyond drain timeout and grace, and which that was. */
const slowest = new Map<'a database that answers' | 'one that is away', { ms: number; name: string }>();
afterAll(() => {
  for (const [database, { ms, name }] of slowest)
    console.log(`slowest to leave with ${database}: ${Math.round(ms)} ms (${name})`);
});

/** @returns what was wrong, null where nothing was */
async function check(moment: Moment, plan: Plan): Promise<string | null> {
  const stage = await openStage({ empty: moment.empty ?? false });
  try {
    await play(stage, moment, plan);
    return null;
  } catch (error) {
    return `${plan.name}, ${moment.name}: ${(error as Error).message}\n${stage.output()}`;
  } finally {
    await stage.close();
  }
}

async function play(stage: Stage, moment: Moment, plan: Plan): Promise<void> {
  const { start } = stage;
  const drain = plan.drainMs === undefined ? [] : ['--drain-timeout', `${plan.drainMs}ms`];
  const { id, afterwards } = await moment.reach({ ...stage, start: (...args) => start(...drain, ...args) });
  const since = performance.now();
  const after = tell(stage, plan, afterwards);
  const ownTime = plan.drainMs ?? RUNS_MS;
  const beyond = moment.away ? LEAVES_AWAY_MS : LEAVES_MS;
  const ms = (await stage.exit(since, ownTime + GRACE_MS + beyond)) - ownTime - GRACE_MS;
  note(moment, plan, ms);
  await after;
  await judgeExit(stage, moment, plan, id);
  stage.heal();
  await judgeEnd(stage, moment, plan, id);
}

function note(moment: Moment, plan: Plan, ms: number): void {
  const database = moment.away ? 'one that is away' : 'a database that answers';
  if (ms > (slowest.get(database)?.ms ?? 0)) slowest.set(database, { ms, name: `${plan.name}, ${moment.name}` });
}

/** What a worker says to a first and to a second signal. */
const HEARD = ['stopping: claiming nothing more', 'stopping now (asked again to stop)'];

/** Sends the signals; what the moment has in store happens once the first was heard. */
async function tell(stage: Stage, plan: Plan, afterwards: (() => unknown) | undefined): Promise<void> {
  let happened: unknown;
  for (const [index, [name, afterMs]] of plan.signals.entries()) {
    // Counted from when it was sent, a busy worker would hear both at once, and take them for one.
    if (afterMs === NEXT_SIGNAL_MS) await stage.said(HEARD[index - 1]!);
    await pause(afterMs);
    stage.signal(name);
    if (index > 0 || !afterwards) continue;
    await stage.said(HEARD[0]!);
    happened = afterwards();
  }
  await happened;
}

async function judgeExit(stage: Stage, moment: Moment, plan: Plan, id: number): Promise<void> {
  const end = stage.ended();
  if (plan.harsh) expect([0, 143, 'SIGKILL']).toContain(end);
  else expect(end).toBe(0);
  // A worker that leaves in its own time has ended everything; else its helpers do.
  if (plan.harsh)
    await until(() => stage.processes().length === 0, { timeoutMs: 20_000, what: 'an end of everything' });
  else expect(stage.processes()).toEqual([]);
  expect(stage.count('overlap')).toBe(0);
  if (moment.empty) return;
  const [row] = await stage.t.sql`select * from cape_issues where id = ${id}`;
  expect(row!.failures).toBeLessThanOrEqual(moment.failures ?? 0);
  if (row!.status === 'completed') expect(stage.count('end')).toBe(1);
  if (plan.harsh || moment.away) return;
  expect(row).toMatchObject({ crashes: 0, leased: false });
  expect(['pending', 'completed', moment.ends]).toContain(row!.status);
  expect(await stage.t.sql`select from cape_leases`).toHaveLength(0);
  expect(await stage.t.sql`select from cape_workers where stopped_at is null`).toHaveLength(0);
  expect(await stage.t.sql`select from cape_attempts`).toHaveLength(row!.attempt);
}

/** A second worker completes it, and no two attempts overlap. A cancel holds, also where a killed worker had not heard it. */
async function judgeEnd(stage: Stage, moment: Moment, plan: Plan, id: number): Promise<void> {
  const row = await stage.finish(id);
  expect(stage.count('overlap')).toBe(0);
  expect(['completed', moment.ends]).toContain(row.status);
  expect(row.failures).toBeLessThanOrEqual(moment.failures ?? 0);
  expect(row.crashes).toBeLessThanOrEqual(plan.harsh ? 1 : 0);
  if (row.status === 'cancelled') return;
  const [first] = await stage.t.sql`select outcome from cape_attempts where attempt = 1`;
  // One that we ended may have been all but done. One that has succeeded is never run again.
  if (first!.outcome === 'succeeded') expect([stage.count('start'), stage.count('end')]).toEqual([1, 1]);
  expect(stage.count('end')).toBeGreaterThanOrEqual(1);
}

/** All of them, a few at a time. */
async function checkAll(cases: readonly (readonly [Moment, Plan])[]): Promise<void> {
  const waiting = [...cases];
  const wrong: string[] = [];
  const work = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      const found = await check(...next);
      if (found !== null) wrong.push(found);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  expect(wrong.join('\n\n')).toBe('');
}

const each = (moments: readonly Moment[], ...plans: Plan[]) =>
  moments.map((moment, index) => [moment, plans[index % plans.length]!] as const);

const RANDOM = [...CLAIMING, ...RUNNING, ...SETTLING];
const PLANS = [once, short, twice, thrice, ctrlC, hangUp];

test('told to stop while it starts, a worker leaves', () => checkAll(each(STARTING, once, short, twice)));

test('told to stop around a claim, a worker gives back what it took', () =>
  checkAll([...each(CLAIMING, once, short), ...each(CLAIMING.slice(3, 6), twice)]));

test('told to stop while a command runs, a worker lets it finish, or ends it and gives the issue back', () =>
  checkAll([
    ...each(RUNNING.slice(0, 1), once),
    ...PLANS.slice(1).map((plan) => [RUNNING[0]!, plan] as const),
    [RUNNING[0]!, killed(200)],
    [RUNNING[4]!, killed(0)],
    ...each(RUNNING.slice(1), short, twice),
  ]));

test('told to stop around a settlement, a worker has it written', () =>
  checkAll([...each(SETTLING, once, short), ...each(SETTLING.slice(0, 4), twice)]));

test('told to stop while the database is away, a worker leaves all the same, and the issue is not lost', () =>
  checkAll(each(AWAY, short, twice)));

test('told to stop at any moment in any way', async () => {
  const seed = Number(process.env.SHUTDOWN_SEED ?? Date.now() % 2 ** 31);
  console.log(`random moments with SHUTDOWN_SEED=${seed}`);
  const anyPlan = fc.oneof(fc.constantFrom(...PLANS), fc.integer({ min: 0, max: 1500 }).map(killed));
  const anyCase = fc
    .tuple(fc.constantFrom(...RANDOM), anyPlan)
    .filter(([moment, plan]) => !(moment.endless && plan === once));
  const cases = fc.sample(anyCase, { seed, numRuns: 12 });
  await checkAll(cases);
});

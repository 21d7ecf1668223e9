/** How fast is a queue worked off whose issues cost nothing? */
import { atLeastTimes, figureOf } from '../goals.js';
import type { Line, Stage } from '../line.js';
import { type Contender, takeTurns } from '../rounds.js';

const ISSUES = { quick: 500, usual: 20_000, full: 20_000 } as const;
/** What graphile-worker's documentation shows for throughput. */
const TUNED_TASKS = 24;
const SLOTS = 10;
/** Faster than 500 and 1,000 (22.9 k/s against 9.8 and 18.7). The first fetch lies before the clock, which favours it. */
const BOSS_BATCH = 3000;
const UNITS = { 'issues/s': 'issues/s', 'CPU per 1,000': 's', "server's CPU per 1,000": 's' };

const BATCHES = 'cape-worker, batches';
const STRICT = `cape-worker, strict slots (${SLOTS})`;
const BATCHES_24 = `${BATCHES}, Node 24`;
const GRAPHILE = 'graphile-worker 0.17.3, tuned';
const GRAPHILE_DEFAULT = `graphile-worker 0.17.3, default (${SLOTS} at a time)`;
const GRAPHILE_24 = 'graphile-worker 0.18.0, tuned, Node 24';

/** Who runs how, without its database. */
interface Entry {
  readonly name: string;
  readonly program: 'drain-cape.mjs' | 'drain-graphile.mjs' | 'drain-boss.mjs';
  readonly job: object;
  readonly node?: '24';
  /** Of a slow one fewer are enough: what counts is its rate. */
  readonly share?: number;
  readonly rounds?: number;
  /** Left out of a quick run: another runs the same program. */
  readonly slow?: true;
}

const batches = { concurrency: TUNED_TASKS };
const ENTRIES: readonly Entry[] = [
  { name: BATCHES, program: 'drain-cape.mjs', job: batches },
  { name: GRAPHILE, program: 'drain-graphile.mjs', job: graphile('17', true, TUNED_TASKS) },
  { name: STRICT, program: 'drain-cape.mjs', job: { concurrency: SLOTS, claimAhead: 0 } },
  { name: GRAPHILE_DEFAULT, program: 'drain-graphile.mjs', job: graphile('17', false, SLOTS), share: 0.2, slow: true },
  { name: 'pg-boss 10.4.2, best', program: 'drain-boss.mjs', job: { version: '10', batch: BOSS_BATCH } },
  { name: BATCHES_24, program: 'drain-cape.mjs', job: batches, node: '24', slow: true },
  { name: GRAPHILE_24, program: 'drain-graphile.mjs', job: graphile('18', true, TUNED_TASKS), node: '24' },
  {
    name: 'pg-boss 12.38.0, best, Node 24',
    program: 'drain-boss.mjs',
    job: { version: '12', batch: BOSS_BATCH },
    node: '24',
  },
  {
    name: 'pg-boss 10.4.2, default',
    program: 'drain-boss.mjs',
    job: { version: '10' },
    share: 0.0002,
    rounds: 1,
    slow: true,
  },
  {
    name: 'pg-boss 12.38.0, default, Node 24',
    program: 'drain-boss.mjs',
    job: { version: '12' },
    node: '24',
    share: 0.0002,
    rounds: 1,
    slow: true,
  },
];

function graphile(version: '17' | '18', tuned: boolean, concurrency: number): object {
  return { package: `graphile-worker-${version}`, tuned, concurrency };
}

export const drain: Line = {
  name: 'drain',
  title: 'Drain of a queue, no-op',
  async measure(stage, { name, rounds }, say) {
    const entries = ENTRIES.filter(({ node, slow }) => (stage.node24 || !node) && !(slow && name === 'quick'));
    const contenders = entries.map((entry) => contenderOf(stage, entry, ISSUES[name]));
    const figures = await takeTurns(contenders, rounds, UNITS, say);
    const rate = (contender: string) => figureOf(figures, contender, 'issues/s');
    const goals = [atLeastTimes('No-op drain, batches', 1.2, rate(BATCHES), rate(GRAPHILE))];
    if (name !== 'quick') {
      if (stage.node24) goals.push(atLeastTimes('The same on Node 24', 1.2, rate(BATCHES_24), rate(GRAPHILE_24)));
      goals.push(atLeastTimes('No-op drain, strict slots', 3, rate(STRICT), rate(GRAPHILE_DEFAULT)));
    }
    return { figures, goals, notes: notesOf(ISSUES[name], stage.node24) };
  },
};

function contenderOf(stage: Stage, { name, program, job, node, share = 1, rounds }: Entry, all: number): Contender {
  const issues = Math.max(2, Math.round(all * share));
  const turn = async () => {
    const database = await (program === 'drain-cape.mjs' ? stage.capeDatabase() : stage.database());
    try {
      const told = await stage.run(program, { url: database.url, issues, ...job }, node && { node });
      const each = issues / 1000;
      return {
        'issues/s': issues / told.said.seconds!,
        'CPU per 1,000': told.cpuSeconds / each,
        "server's CPU per 1,000": told.serverCpuSeconds / each,
      };
    } finally {
      await database.drop();
    }
  };
  return { name, turn, ...(rounds !== undefined && { rounds }) };
}

function notesOf(issues: number, node24: boolean): string[] {
  return [
    `${issues.toLocaleString('en')} issues are queued before the worker starts (4,000 for graphile-worker's default, 4 for pg-boss's, which are slow), in a database of each turn's own, vacuumed, analysed and after a checkpoint. One process works them off with a function that does nothing. The clock runs from the first call until all is written; the same client asks for that, once all have been called. CPU counts from before the worker connects.`,
    'cape-worker writes leases, results and history (an attempt a row), whose rows are counted after each turn. graphile-worker deletes its jobs and keeps none; pg-boss marks them completed.',
    `graphile-worker tuned is its documentation's set for throughput: localQueue size 500, completeJobBatchDelay and failJobBatchDelay 0, ${TUNED_TASKS} tasks at a time, one connection more. Default: none of it, but ${SLOTS} tasks at a time as our strict slots have, where it would come with one. Its logger says nothing.`,
    `pg-boss best: batchSize ${BOSS_BATCH} (faster than 500 and 1,000; the first fetch, of more than a tenth of all, lies before the clock), pollingIntervalSeconds 0.5, its least, and no pause while there is more (10: notifyWorker, 12: burstWhenBatchFull). A batch is completed or failed as one. Default: one job every two seconds.`,
    ...(node24 ? [] : ['Node 24 could not be had for this platform: what needs it is left out.']),
  ];
}

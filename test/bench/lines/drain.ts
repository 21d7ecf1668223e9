/** How fast is a queue worked off whose issues cost nothing? */
import { atLeastTimes, figureOf } from '../goals.js';
import type { Line, Stage } from '../line.js';
import { type Contender, takeTurns } from '../rounds.js';

const ISSUES = { quick: 500, usual: 20_000, full: 20_000 } as const;
/** Their documentation's number of tasks at a time for throughput. */
const TUNED_TASKS = 24;
const SLOTS = 10;
const UNITS = { 'issues/s': 'issues/s', 'CPU per 1,000': 's', "server's CPU per 1,000": 's' };

const BATCHES = 'cape-worker, batches';
const STRICT = `cape-worker, strict slots (${SLOTS})`;
const GRAPHILE = 'graphile-worker 0.17.3, tuned';
const GRAPHILE_DEFAULT = `graphile-worker 0.17.3, default (${SLOTS} at a time)`;

/** Who runs how, without its database. */
interface Entry {
  readonly name: string;
  readonly program: string;
  readonly job: object;
  readonly node?: '24';
  /** Of a slow one fewer are enough: what counts is its rate. */
  readonly share?: number;
}

const ENTRIES: readonly Entry[] = [
  { name: BATCHES, program: 'drain-cape.mjs', job: { concurrency: TUNED_TASKS } },
  { name: STRICT, program: 'drain-cape.mjs', job: { concurrency: SLOTS } },
  { name: GRAPHILE, program: 'drain-graphile.mjs', job: graphile17(true, TUNED_TASKS) },
  { name: GRAPHILE_DEFAULT, program: 'drain-graphile.mjs', job: graphile17(false, SLOTS), share: 1 / 4 },
];

function graphile17(tuned: boolean, concurrency: number): object {
  return { package: 'graphile-worker-17', tuned, concurrency };
}

export const drain: Line = {
  name: 'drain',
  title: 'Drain of a queue, no-op',
  async measure(stage, { name, rounds }, say) {
    const contenders = ENTRIES.filter(({ node }) => node === undefined || stage.node24).map((entry) =>
      contenderOf(stage, entry, ISSUES[name]),
    );
    const figures = await takeTurns(contenders, rounds, UNITS, say);
    const rate = (contender: string) => figureOf(figures, contender, 'issues/s');
    return {
      figures,
      goals: [atLeastTimes('No-op drain, batches', 1.2, rate(BATCHES), rate(GRAPHILE))],
      notes: [],
    };
  },
};

function contenderOf(stage: Stage, { name, program, job, node, share = 1 }: Entry, all: number): Contender {
  const issues = Math.max(1, Math.round(all * share));
  const turn = async () => {
    const database = program === 'drain-cape.mjs' ? await stage.capeDatabase() : await stage.database();
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
  return { name, turn };
}

/** What does a claim with its settlement cost on a table that has been growing for years? */
import { atLeastTimes, atMost, figureOf } from '../goals.js';
import type { BenchDatabase, Figure, Line, Plot, Scale, Stage } from '../line.js';
import { type Contender, takeTurns } from '../rounds.js';
import { median } from '../statistics.js';

interface Size {
  readonly batchWork: number;
  readonly slotWork: number;
  readonly thousands: readonly number[];
  readonly history: number;
  readonly held: number;
  readonly peers: boolean;
}

const SIZES: Readonly<Record<Scale['name'], Size>> = {
  quick: { batchWork: 1000, slotWork: 200, thousands: [1], history: 10_000, held: 10_000, peers: false },
  usual: {
    batchWork: 20_000,
    slotWork: 5000,
    thousands: [1, 10, 100, 1000],
    history: 5_000_000,
    held: 400_000,
    peers: true,
  },
  full: {
    batchWork: 40_000,
    slotWork: 10_000,
    thousands: [1, 10, 100, 1000],
    history: 5_000_000,
    held: 400_000,
    peers: true,
  },
};
const BATCH = 500;
const SLOTS = 10;
const TASKS = 24;
/** Each takes half a minute and hardly varies. */
const HELD_ROUNDS = 3;
const READY = 1000;
const BATCHES = 'batches of 500';
const STRICT = 'strict slots (10)';
const UNITS = { [BATCHES]: 'issues/s', [STRICT]: 'issues/s' };
const HELD_UNITS = { 'first twentieth': 'issues/s', 'last twentieth': 'issues/s' };
const RENEWAL_UNITS = { 'renewing 200 leases': 'ms', 'of it HOT': '' };

/** Rows that are there before and after each turn. */
interface State {
  readonly name: string;
  readonly fill: {
    readonly history?: number;
    readonly pending: number;
    readonly parked?: number;
    readonly directed?: number;
  };
}

export const growth: Line = {
  name: 'growth',
  title: 'Claim and settle on a table that grows',
  async measure(stage, scale, say) {
    const size = SIZES[scale.name];
    const databases: BenchDatabase[] = [];
    try {
      const figures = await steady(stage, scale, size, databases, say);
      figures.push(...(await underSnapshot(stage, scale, size, say)), ...(await renewals(stage, scale, say)));
      const measured = { figures, notes: notesOf(size) };
      if (scale.name === 'quick') return { ...measured, goals: [] };
      return { ...measured, goals: goalsOf(figures, size), plots: [plotOf(figures, size)] };
    } finally {
      for (const database of databases) await database.drop();
    }
  },
};

/** All states by turns, each in a database that keeps it. */
async function steady(stage: Stage, scale: Scale, size: Size, made: BenchDatabase[], say: (text: string) => void) {
  const contenders: Contender[] = [];
  for (const { name, fill } of statesOf(size, scale)) {
    say(`filling: ${name}`);
    const database = await stage.capeDatabase();
    made.push(database);
    await stage.run('growth-cape.mjs', { url: database.url, fill });
    contenders.push({ name, turn: () => turnOf(stage, database.url, size) });
  }
  for (const pending of size.peers ? [10_000, 1_000_000] : []) {
    const name = graphile(pending);
    say(`filling: ${name}`);
    const database = await stage.database();
    made.push(database);
    await stage.run('growth-graphile.mjs', { url: database.url, fill: pending });
    contenders.push({
      name,
      async turn() {
        const job = { url: database.url, work: size.batchWork / 2, concurrency: TASKS };
        return { [BATCHES]: (await stage.run('growth-graphile.mjs', job)).said.rate! };
      },
    });
  }
  return takeTurns(contenders, scale.rounds, UNITS, say);
}

async function turnOf(stage: Stage, url: string, { batchWork, slotWork }: Size) {
  const turns = [
    { work: batchWork, batch: BATCH },
    { work: slotWork, batch: SLOTS },
  ];
  const { said } = await stage.run('growth-cape.mjs', { url, turns });
  return { [BATCHES]: said[`by${BATCH}`]!, [STRICT]: said[`by${SLOTS}`]! };
}

function statesOf({ thousands, history }: Size, { name }: Scale): State[] {
  const most = Math.max(...thousands) * 1000;
  const grown = name === 'full' ? thousands : thousands.slice(-1);
  return [
    ...thousands.map((k) => ({ name: ours(k * 1000), fill: { pending: k * 1000 } })),
    ...grown.map((k) => ({ name: ours(k * 1000, history), fill: { pending: k * 1000, history } })),
    { name: delayed(most), fill: { pending: READY, parked: most } },
    { name: directed(most / 10), fill: { pending: 10_000, directed: most / 10 } },
  ];
}

const ours = (pending: number, history = 0) =>
  `${count(pending)} pending${history ? `, ${count(history)} finished` : ''}`;
const delayed = (rows: number) => `${count(READY)} ready beside ${count(rows)} delayed`;
const directed = (rows: number) => `10 k pending beside ${count(rows)} for a dead worker`;
const graphile = (pending: number) => `graphile-worker 0.17.3, tuned, ${count(pending)} pending`;
const count = (n: number) => (n >= 1e6 ? `${n / 1e6} M` : `${n / 1000} k`);

const HELD = 'cape-worker, a snapshot held';
const HELD_PEER = 'graphile-worker 0.17.3, tuned, a snapshot held';

/** What a backup or a forgotten transaction does: no dead row may be removed as long as it is there. */
async function underSnapshot(
  stage: Stage,
  { rounds }: Scale,
  size: Size,
  say: (text: string) => void,
): Promise<Figure[]> {
  const { held, peers } = size;
  const part = held / 20;
  const fresh = async (isOurs: boolean, fill: object | number, job: object) => {
    const database = await (isOurs ? stage.capeDatabase() : stage.database());
    const [filled, worked] = isOurs
      ? ['growth-cape.mjs', 'held-cape.mjs']
      : ['growth-graphile.mjs', 'growth-graphile.mjs'];
    try {
      await stage.run(filled, { url: database.url, fill });
      return (await stage.run(worked, { url: database.url, concurrency: TASKS, ...job })).said;
    } finally {
      await database.drop();
    }
  };
  const cape: Contender = {
    name: HELD,
    async turn() {
      const { first, last } = await fresh(true, { pending: part + held }, { warm: part, work: held });
      return { 'first twentieth': first!, 'last twentieth': last! };
    },
  };
  const peer: Contender = {
    name: HELD_PEER,
    async turn() {
      const job = { dead: held - part, warm: part, work: part - BATCH };
      return { 'last twentieth': (await fresh(false, part + held, job)).rate! };
    },
  };
  return takeTurns([cape, ...(peers ? [peer] : [])], Math.min(rounds, HELD_ROUNDS), HELD_UNITS, say);
}

const LEASES = 'cape-worker';

async function renewals(stage: Stage, { rounds }: Scale, say: (text: string) => void): Promise<Figure[]> {
  const turn = async () => {
    const database = await stage.capeDatabase();
    try {
      const { said } = await stage.run('growth-cape.mjs', { url: database.url, renew: 200 });
      return { 'renewing 200 leases': said.ms!, 'of it HOT': said.hot! };
    } finally {
      await database.drop();
    }
  };
  return takeTurns([{ name: LEASES, turn }], rounds, RENEWAL_UNITS, say);
}

function goalsOf(figures: readonly Figure[], { history }: Size) {
  const rate = (name: string, figure = BATCHES) => figureOf(figures, name, figure);
  const first = { ...rate(HELD, 'first twentieth'), contender: 'the first' };
  const last = rate(HELD, 'last twentieth');
  const hot = figureOf(figures, LEASES, 'of it HOT');
  return [
    atLeastTimes(
      'Claim and settle at 1 M pending and 5 M finished',
      0.85,
      rate(ours(1e6, history)),
      rate(ours(10_000)),
    ),
    atLeastTimes('The same, strict slots', 0.85, rate(ours(1e6, history), STRICT), rate(ours(10_000), STRICT)),
    atLeastTimes('1,000 ready issues beside 1 M delayed ones', 0.9, rate(delayed(1e6)), rate(ours(1000))),
    atLeastTimes('The last 20 k of 400 k, a snapshot held', 0.9, last, first),
    atLeastTimes('The same', 3, last, figureOf(figures, HELD_PEER, 'last twentieth')),
    atMost('Renewing 200 leases', 2, figureOf(figures, LEASES, 'renewing 200 leases')),
    {
      what: 'Renewals that are HOT',
      goal: 'all',
      reached: `${(100 * median(hot.samples)).toFixed(1)} %`,
      met: median(hot.samples) > 0.9995,
    },
  ];
}

function plotOf(figures: readonly Figure[], { thousands, history }: Size): Plot {
  const cost = (name: string, figure = BATCHES) => 1e6 / median(figureOf(figures, name, figure).samples);
  const at = (figure: string) => thousands.map((k) => [k * 1000, cost(ours(k * 1000), figure)] as const);
  return {
    name: 'growth',
    title: 'Cost of claim and settle against the backlog',
    x: 'pending',
    y: 'us per issue',
    logX: true,
    curves: [
      { name: 'cape-worker, batches of 500', points: at(BATCHES) },
      { name: 'cape-worker, strict slots (10)', points: at(STRICT) },
      { name: 'cape-worker, batches, 5 M finished', points: [[1e6, cost(ours(1e6, history))]] },
      {
        name: 'graphile-worker 0.17.3, tuned',
        points: [10_000, 1_000_000].map((pending) => [pending, cost(graphile(pending))] as const),
      },
    ],
  };
}

function notesOf({ batchWork, slotWork, held, peers }: Size): string[] {
  return [
    `Ours: the queue's own statement (settle and claim in one), one after another on one connection, history and leases written, ${batchWork.toLocaleString('en')} issues a turn in batches and ${slotWork.toLocaleString('en')} in strict slots. The backlog is filled up again after every five statements, with the clock stopped. All states have a database that is kept for the whole line.`,
    `A snapshot held: a worker with a handler that does nothing works ${held.toLocaleString('en')} issues off, after ${(held / 20).toLocaleString('en')} to warm up, while another session has \`begin isolation level repeatable read; select 1\` open, as a backup has; the first and the last twentieth.`,
    ...(peers
      ? [
          `graphile-worker tuned as in the drain, worked by its own runner; what a turn works off is added before it. Under the snapshot the nineteen twentieths before the last are not worked off but locked and deleted in two statements, which leaves the same dead rows behind and takes seconds instead of minutes.`,
        ]
      : []),
  ];
}

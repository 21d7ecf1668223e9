/** From an INSERT to the first instruction of its work, on an idle worker. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ContenderOptions, Figure, GoalResult, Line, Scale, Stage } from '../line.js';
import { percentile } from '../statistics.js';

interface Contender {
  readonly name: string;
  readonly queue: string;
  readonly work: 'command' | 'handler';
  /** Only polling, that often. */
  readonly pollMs?: number;
  readonly node?: ContenderOptions['node'];
}

/** The shortest interval that pg-boss takes. */
const POLL_MS = 500;
const COMMAND = 'cape-worker, command';
const HANDLER = 'cape-worker, handler';
const GRAPHILE = 'graphile-worker 0.17.3';
const BOSS_10 = 'pg-boss 10.4.2';
const BOSS_12 = 'pg-boss 12.38.0 with LISTEN, Node 24';

const CONTENDERS: readonly Contender[] = [
  { name: COMMAND, queue: 'cape', work: 'command' },
  { name: `${GRAPHILE}, execFile`, queue: 'graphile', work: 'command' },
  { name: `${BOSS_12}, execFile`, queue: 'pg-boss-12', work: 'command', node: '24' },
  { name: HANDLER, queue: 'cape', work: 'handler' },
  { name: `${GRAPHILE}, handler`, queue: 'graphile', work: 'handler' },
  { name: `${BOSS_12}, handler`, queue: 'pg-boss-12', work: 'handler', node: '24' },
  { name: `${HANDLER}, polling every 0.5 s`, queue: 'cape', work: 'handler', pollMs: POLL_MS },
  { name: `${BOSS_10}, handler, polling every 0.5 s`, queue: 'pg-boss-10', work: 'handler', pollMs: POLL_MS },
];

/** Each way once: a start of a worker takes a second. */
const QUICK = new Set([COMMAND, HANDLER, `${GRAPHILE}, execFile`, `${BOSS_12}, handler`]);

const SHARES = { p50: 0.5, p95: 0.95, p99: 0.99 } as const;
type Share = keyof typeof SHARES;

/** Milliseconds; the issue's own words. */
const GOALS: readonly { readonly contender: string; readonly share: Share; readonly most: number }[] = [
  { contender: COMMAND, share: 'p50', most: 10 },
  { contender: COMMAND, share: 'p99', most: 30 },
  { contender: HANDLER, share: 'p50', most: 3 },
  { contender: HANDLER, share: 'p99', most: 10 },
];

export const latency: Line = {
  name: 'latency',
  title: 'Start latency: INSERT to first instruction, idle worker',
  async measure(stage, scale, say) {
    const contenders = CONTENDERS.filter(
      ({ name, node }) => (scale.name !== 'quick' || QUICK.has(name)) && (node === undefined || stage.node24),
    );
    const rounds = new Map<string, number[][]>(contenders.map(({ name }) => [name, []]));
    const firsts: number[] = [];
    for (let round = 1; round <= scale.rounds; round++) {
      for (const contender of contenders) {
        say(`${contender.name}, round ${round} of ${scale.rounds}`);
        const { samples, first } = await measureOne(stage, contender, samplesOf(scale, contender));
        rounds.get(contender.name)!.push(samples);
        if (contender.name === COMMAND) firsts.push(first);
      }
    }
    return {
      figures: [
        ...contenders.flatMap(({ name }) => figuresOf(name, rounds.get(name)!)),
        { contender: `${COMMAND}, the first one`, figure: 'keeper starts too', unit: 'ms', samples: firsts },
      ],
      goals: goalsOf(rounds),
      notes: notesOf(rounds),
    };
  },
};

/** A thousand in five rounds; with polling the half of an interval each, so a few. */
function samplesOf({ name, rounds }: Scale, { pollMs }: Contender): number {
  if (name === 'quick') return 20;
  if (pollMs !== undefined) return name === 'full' ? 100 : 8;
  return Math.ceil((name === 'full' ? 5000 : 1000) / rounds);
}

async function measureOne(stage: Stage, { queue, work, pollMs, node }: Contender, samples: number) {
  const database = await stage.database();
  try {
    const file = join(stage.folder, 'latency.json');
    const job = { url: database.url, queue, work, pollMs, samples, file, folder: stage.folder };
    const { said } = await stage.run('latency.mjs', job, node ? { node } : {});
    return { samples: JSON.parse(readFileSync(file, 'utf8')) as number[], first: said.first ?? Number.NaN };
  } finally {
    await database.drop();
  }
}

function figuresOf(contender: string, rounds: readonly (readonly number[])[]): Figure[] {
  return (Object.keys(SHARES) as Share[]).map((share) => ({
    contender,
    figure: share,
    unit: 'ms',
    samples: rounds.map((samples) => percentile(samples, SHARES[share])),
  }));
}

/** Over all rounds together: of 200 samples the 99th part is two. */
function goalsOf(rounds: ReadonlyMap<string, readonly (readonly number[])[]>): GoalResult[] {
  return GOALS.map(({ contender, share, most }) => {
    const reached = percentile(rounds.get(contender)!.flat(), SHARES[share]);
    return {
      what: `${contender}: INSERT to first instruction, ${share}`,
      goal: `<= ${most} ms`,
      reached: `${reached.toFixed(1)} ms`,
      met: reached <= most,
    };
  });
}

function notesOf(rounds: ReadonlyMap<string, readonly (readonly number[])[]>): string[] {
  const all = rounds.get(COMMAND)!.flat();
  return [
    `Each in a process of its own beside the client that inserts, one issue at a time; the next at random 5 to 30 ms after
     the last was done, or within an interval where the worker polls. ${all.length} samples of each that listens.`,
    `The command is a static program of 67 bytes of machine code that takes the time first (on other machines than Linux
     on x86-64 a Perl script, 3 ms more). Goals are judged over the samples of all rounds together.`,
    `graphile-worker and pg-boss with their defaults and a silent logger. pg-boss 10 can only poll; pg-boss 12 listens
     where queue and instance ask for it, notifies only from its own client, which was used, and needs Node 22. Our
     polling: the trigger of inserts switched off, which is what a transaction-mode pooler leaves.`,
    `The keeper of commands leaves after a minute without one: the first command after that waits for its start.`,
  ].map((note) => note.replace(/\s+/g, ' '));
}

/** What a worker costs: until it works, while it waits, and in memory. */
import { atMost, figureOf } from '../goals.js';
import type { ContenderOptions, Figure, GoalResult, Line, Scale, Stage } from '../line.js';

interface Contender {
  readonly name: string;
  readonly queue: string;
  readonly work: 'command' | 'handler';
  readonly node?: ContenderOptions['node'];
}

const CLI = 'cape-worker, command line';
const PROGRAM = 'cape-worker, in a program';
const GRAPHILE = 'graphile-worker 0.17.3';
const BOSS = 'pg-boss 12.38.0 with LISTEN, Node 24';

const STARTS: readonly Contender[] = [
  { name: CLI, queue: 'cape', work: 'command' },
  { name: PROGRAM, queue: 'cape', work: 'handler' },
  { name: GRAPHILE, queue: 'graphile', work: 'handler' },
  { name: BOSS, queue: 'pg-boss-12', work: 'handler', node: '24' },
];

/** A start and a stop take a second. */
const QUICK = new Set([CLI, GRAPHILE]);

interface Size {
  readonly starts: number;
  readonly idleSeconds: number;
  readonly outputBytes: number;
  /** Issues with a `run_at`. */
  readonly parked: number;
}

const SIZES: Readonly<Record<Scale['name'], Size>> = {
  quick: { starts: 1, idleSeconds: 1, outputBytes: 10e6, parked: 1 },
  usual: { starts: 4, idleSeconds: 60, outputBytes: 1e9, parked: 10 },
  full: { starts: 20, idleSeconds: 300, outputBytes: 1e9, parked: 50 },
};

/** Of what an idle worker tells: figure, unit, and the most that our command line may need. */
const IDLE_FIGURES: readonly (readonly [key: string, figure: string, unit: string, most?: number])[] = [
  ['rss', 'RSS idle', 'MiB', 65],
  ['cpuPercent', 'CPU idle', '% of a core', 0.2],
  ['statements', 'statements idle', 'per minute', 30],
  ['connections', 'connections', 'open', 3],
  ['lateMs', 'run_at fires late, median', 'ms'],
  ['latestMs', 'run_at fires late, worst', 'ms', 1000],
  ['runningWorker', 'RSS of the worker, one command running', 'MiB'],
  ['runningKeeper', 'RSS of the keeper, one command running', 'MiB'],
  ['runningPss', 'PSS of both, one command running', 'MiB'],
  ['grownWorker', 'growth of the worker after much output', 'MiB', 10],
  ['grownKeeper', 'growth of the keeper after much output', 'MiB', 10],
];
const START = 'start of the process to first claim';
const LONGEST_START_MS = 165;

export const footprint: Line = {
  name: 'footprint',
  title: 'Footprint: start, idle, memory',
  async measure(stage, scale, say) {
    if (process.platform !== 'linux')
      return { figures: [], goals: [], notes: ['Not measured: it is read from /proc, which only Linux has.'] };
    const size = SIZES[scale.name];
    const present = STARTS.filter(
      ({ name, node }) => (scale.name !== 'quick' || QUICK.has(name)) && (node === undefined || stage.node24),
    );
    const waiting = present.filter(({ name }) => name !== PROGRAM);
    const starts = await measureStarts(stage, present, scale, size, say);
    say(`${waiting.length} workers idle at once for ${size.idleSeconds} s`);
    // Waiting, they do not disturb each other; in turns it would be a minute each.
    const idle = await Promise.all(waiting.map((contender) => measureIdle(stage, contender, size)));
    const figures = [...starts, ...idle.flat()];
    return { figures, goals: goalsOf(figures), notes: notesOf(size) };
  },
};

async function measureStarts(
  stage: Stage,
  contenders: readonly Contender[],
  { rounds }: Scale,
  { starts }: Size,
  say: (text: string) => void,
): Promise<Figure[]> {
  const samples = new Map<string, number[]>(contenders.map(({ name }) => [name, []]));
  for (let round = 1; round <= rounds; round++) {
    for (const contender of contenders) {
      say(`start of ${contender.name}, round ${round} of ${rounds}`);
      const { work } = contender;
      const said = await inDatabase(stage, contender, 'start.mjs', { work, starts });
      samples.get(contender.name)!.push(said.ms!);
    }
  }
  return [...samples].map(([contender, ms]): Figure => ({ contender, figure: START, unit: 'ms', samples: ms }));
}

async function measureIdle(stage: Stage, contender: Contender, size: Size): Promise<Figure[]> {
  const { outputBytes, parked } = size;
  const more = contender.name === CLI ? { outputBytes, parked } : undefined;
  const said = await inDatabase(stage, contender, 'idle.mjs', { seconds: size.idleSeconds, more });
  return IDLE_FIGURES.filter(([key]) => said[key] !== undefined).map(([key, figure, unit]) => ({
    contender: contender.name,
    figure,
    unit,
    samples: [said[key]!],
  }));
}

async function inDatabase(stage: Stage, { queue, node }: Contender, program: string, job: object) {
  const { url, drop } = await stage.database();
  try {
    const all = { url, queue, folder: stage.folder, ...job };
    return (await stage.run(program, all, node ? { node } : {})).said;
  } finally {
    await drop();
  }
}

function goalsOf(figures: readonly Figure[]): GoalResult[] {
  const limits = [
    [START, LONGEST_START_MS] as const,
    ...IDLE_FIGURES.map(([, figure, , most]) => [figure, most] as const),
  ];
  return limits.flatMap(([figure, most]) =>
    most === undefined ? [] : [atMost(`${CLI}: ${figure}`, most, figureOf(figures, CLI, figure))],
  );
}

function notesOf({ starts, idleSeconds, outputBytes, parked }: Size): string[] {
  return [
    `Start: an issue waits already; from spawn to the notification that a trigger sends with the claim, as it arrives
     outside. Per round the median of ${starts} after one that warms the disk's cache. The command line is started by its
     own first line, as users do; "in a program" is a program of the library with a handler, as the peers are.`,
    `Idle: ${idleSeconds} s, once, all at the same time, each behind a proxy of its own that counts the statements.
     RSS is that of the worker; its keeper of commands comes with the first command. Much output: ${outputBytes / 1e6} MB
     in lines of 80 bytes, against the memory after one of 1 MB. graphile-worker's and pg-boss's tasks collect their
     output in memory, so that was not asked of them.`,
    `run_at: ${parked} issues at random in the seconds after, while nothing else is to do; started_at beside run_at, by the
     database's clock.`,
  ].map((note) => note.replace(/\s+/g, ' '));
}

/** Output on its way from a command to its file and to whoever follows. */
import type { Figure, Line, Scale } from '../line.js';

const MEGABYTES: Readonly<Record<Scale['name'], number>> = { quick: 20, usual: 500, full: 2000 };
const LINE_BYTES = 80;
const MOST_GROWTH_MIB = 10;

const FLOOR = "Node's own pipe into a file";
const OURS = 'cape-worker';
const READER = 'cape-worker issues logs -f';

/** What the contender tells: whose, which figure, unit. */
const FIGURES: readonly (readonly [key: string, contender: string, figure: string, unit: string])[] = [
  ['floor', FLOOR, 'to the file', 'MB/s'],
  ['file', OURS, 'to the file', 'MB/s'],
  ['followedFile', OURS, 'to the file, while it is followed', 'MB/s'],
  ['reader', READER, 'to the reader', 'MB/s'],
  ['fileGrowth', OURS, 'growth of worker or keeper meanwhile', 'MiB'],
  ['followedGrowth', OURS, 'growth of worker or keeper, while it is followed', 'MiB'],
  ['readerRss', READER, 'most RSS', 'MiB'],
  ['ageP50', READER, 'age of a line when it is read, median', 'ms'],
  ['ageMost', READER, 'age of a line when it is read, worst', 'ms'],
];

export const output: Line = {
  name: 'output',
  title: 'Following output: from a command to its file and to a reader',
  async measure(stage, scale, say) {
    if (process.platform !== 'linux')
      return { figures: [], goals: [], notes: ['Not measured: memory is read from /proc, which only Linux has.'] };
    const megabytes = MEGABYTES[scale.name];
    const rounds: Readonly<Record<string, number>>[] = [];
    for (let round = 1; round <= scale.rounds; round++) {
      say(`${megabytes} MB three times, round ${round} of ${scale.rounds}`);
      const { url, drop } = await stage.database();
      try {
        const timedLines = scale.name === 'quick' ? 20 : 60;
        const job = { url, bytes: megabytes * 1e6, timedLines, folder: stage.folder };
        rounds.push((await stage.run('output.mjs', job)).said);
      } finally {
        await drop();
      }
    }
    const figures = FIGURES.map(
      ([key, contender, figure, unit]): Figure => ({
        contender,
        figure,
        unit,
        samples: rounds.map((said) => said[key]!),
      }),
    );
    const lines = figures.filter(({ unit }) => unit === 'MB/s').map(inLines);
    return { figures: [...figures, ...lines], goals: [flatMemory(rounds)], notes: notesOf(megabytes) };
  },
};

/** A line is an event to whoever follows. */
function inLines({ contender, figure, samples }: Figure): Figure {
  return { contender, figure, unit: 'lines/s', samples: samples.map((mbs) => (mbs * 1e6) / LINE_BYTES) };
}

function flatMemory(rounds: readonly Readonly<Record<string, number>>[]) {
  const most = Math.max(...rounds.flatMap(({ fileGrowth, followedGrowth }) => [fileGrowth!, followedGrowth!]));
  return {
    what: 'cape-worker: worker and keeper while output flows, most in any round',
    goal: `grow by <= ${MOST_GROWTH_MIB} MiB`,
    reached: `${most.toFixed(1)} MiB`,
    met: most <= MOST_GROWTH_MIB,
  };
}

function notesOf(megabytes: number): string[] {
  return [
    `${megabytes} MB in lines of ${LINE_BYTES} bytes by "yes | head", as fast as they are taken: by Node's own pipe into a
     file, by a command of the worker, and by one that \`issues logs -f\` follows in a process of its own, which got every
     byte. The age of lines is that of a slow command that prints the time: the reader looks every 250 ms.`,
    'To the database: nothing yet, output lies in files; its end (--tail) comes with the settlement.',
    'No peer was asked: they keep a command in their task, whose output is the task’s own.',
  ].map((note) => note.replace(/\s+/g, ' '));
}

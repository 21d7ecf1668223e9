/** What do our triggers cost a program that inserts? */
import { atLeastTimes, figureOf } from '../goals.js';
import type { Line } from '../line.js';
import { takeTurns } from '../rounds.js';

const CLIENTS = 16;
const SIZES = {
  quick: { rounds: 2, sliceMs: 150, bulk: 2000 },
  usual: { rounds: 12, sliceMs: 400, bulk: 50_000 },
  full: { rounds: 30, sliceMs: 500, bulk: 200_000 },
} as const;
const NAME = `${CLIENTS} SQL clients`;
const NONE = 'without triggers';
const BUSY = 'workers busy';
const IDLE = 'a worker idle';
const BULK = 'addMany of 1,000';
const UNITS = { [NONE]: 'rows/s', [BUSY]: 'rows/s', [IDLE]: 'rows/s', [BULK]: 'rows/s' };

export const insert: Line = {
  name: 'insert',
  title: 'Inserts',
  async measure(stage, { name, rounds }, say) {
    const turn = async () => {
      const database = await stage.capeDatabase();
      try {
        const job = { url: database.url, clients: CLIENTS, ...SIZES[name] };
        const { said } = await stage.run('insert.mjs', job);
        return { [NONE]: said.none!, [BUSY]: said.busy!, [IDLE]: said.idle!, [BULK]: said.bulk! };
      } finally {
        await database.drop();
      }
    };
    const figures = await takeTurns([{ name: NAME, turn }], rounds, UNITS, say);
    const rate = (figure: string, contender: string) => ({ ...figureOf(figures, NAME, figure), contender });
    const goal = atLeastTimes(
      'Plain inserts from 16 clients, workers busy',
      0.9,
      rate(BUSY, 'with'),
      rate(NONE, 'no trigger'),
    );
    return { figures, goals: name === 'quick' ? [] : [goal], notes: notesOf(SIZES[name]) };
  },
};

function notesOf({ rounds, sliceMs }: { rounds: number; sliceMs: number }): string[] {
  return [
    `${CLIENTS} connections of postgres.js in one process, each with one INSERT of one row after another, each its own transaction, prepared. Within a turn the three states have ${rounds} slices of ${sliceMs} ms each in a changing order; a sample is the median of a turn's slices: the disk of a shared machine varies more from second to second than the triggers cost.`,
    'Workers busy: nobody is marked as waiting, and nothing is notified. A worker idle: one is marked, and every INSERT notifies, which takes a lock on the whole server; a worker that is woken takes its mark away after a busy second. `addMany` goes through our own client on one connection, a thousand issues a statement.',
  ];
}

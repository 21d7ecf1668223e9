/** Do workers get in each other's way? */
import type { Figure, Line, Stage } from '../line.js';
import { type Contender, takeTurns } from '../rounds.js';
import { median } from '../statistics.js';

const ISSUES = { quick: 1000, usual: 20_000, full: 100_000 } as const;
const PROCESSES = { quick: [1, 2], usual: [1, 2, 4, 8], full: [1, 2, 4, 8] } as const;
const SIMULATED = 64;
const UNITS = { 'issues/s': 'issues/s', deadlocks: '', 'short claims': '%' };

export const workers: Line = {
  name: 'workers',
  title: 'Several workers on one queue',
  async measure(stage, { name, rounds }, say) {
    const issues = ISSUES[name];
    const contenders = [
      ...PROCESSES[name].map((processes) => contender(stage, processesName(processes), { issues, processes })),
      contender(stage, `${SIMULATED} simulated, claims of 10`, { issues, simulated: SIMULATED }),
    ];
    const figures = await takeTurns(contenders, rounds, UNITS, say);
    return { figures, goals: [noDeadlock(figures)], notes: NOTES };
  },
};

function processesName(processes: number): string {
  return processes === 1 ? '1 worker' : `${processes} workers`;
}

function contender(stage: Stage, name: string, job: object): Contender {
  return {
    name,
    async turn() {
      const database = await stage.capeDatabase();
      try {
        const { rate, deadlocks, short } = (await stage.run('workers-cape.mjs', { url: database.url, ...job })).said;
        return { 'issues/s': rate!, deadlocks: deadlocks!, ...(short !== undefined && { 'short claims': short }) };
      } finally {
        await database.drop();
      }
    },
  };
}

function noDeadlock(figures: readonly Figure[]) {
  const all = figures.filter(({ figure }) => figure === 'deadlocks').flatMap(({ samples }) => samples);
  const most = Math.max(...all);
  return {
    what: 'Deadlocks among workers',
    goal: 'none',
    reached: most === 0 ? 'none' : `${most} (median ${median(all)})`,
    met: most === 0,
  };
}

const NOTES = [
  'Each worker is a process of its own, started before the clock, with 24 slots and a function that does nothing; the clock runs from the word to begin until nothing is pending or started, which includes the start of their connections. No issue may have a second attempt. On two cores more than two workers share what one or two could do: the question is what it costs that they are many.',
  'Simulated: 64 connections of one process, each with one claim of ten after another and nothing settled. A short claim got fewer than ten while there was enough: others had locked what it looked at.',
];

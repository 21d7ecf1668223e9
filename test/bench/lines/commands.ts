/** How many commands a second does it start, contain and settle? */
import { existsSync, mkdtempSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { atLeastTimes, figureOf } from '../goals.js';
import type { Figure, GoalResult, Line, Stage } from '../line.js';
import { type Contender, takeTurns } from '../rounds.js';
import { median, ratio } from '../statistics.js';

const TRUE = ['/bin/true', '/usr/bin/true'].find(existsSync) ?? 'true';
/** By slots: about a second each. */
const COMMANDS = { 1: 150, 4: 400, 16: 800 } as const;
type Slots = keyof typeof COMMANDS;
const QUICK_SHARE = 0.05;
/** Fewer than at 16 slots, which the goals are about. */
const FEWER_ROUNDS = 3;
const FLOOD_MB = 500;
/** The worker adds the issue's number and text to a command, which are no files. */
const SAY = 'exec cat "$0"';
const UNITS = { 'commands/s': 'commands/s' };

interface Entry {
  readonly name: string;
  readonly program: string;
  readonly job: object;
  /** At 16 slots only. */
  readonly few?: true;
}

const OURS = 'cape-worker';
const PIPED = "floor: Node's spawn with pipes";
const GRAPHILE = 'graphile-worker 0.17.3, tuned';
const ENTRIES: readonly Entry[] = [
  { name: OURS, program: 'commands-cape.mjs', job: { command: TRUE } },
  { name: GRAPHILE, program: 'drain-graphile.mjs', job: { package: 'graphile-worker-17', tuned: true, command: TRUE } },
  { name: PIPED, program: 'floor-spawn.mjs', job: { file: TRUE, args: [], stdio: 'pipe' } },
  {
    name: "floor: Node's spawn without",
    program: 'floor-spawn.mjs',
    job: { file: TRUE, args: [], stdio: 'ignore' },
    few: true,
  },
  { name: 'floor: xargs -P', program: 'floor-xargs.mjs', job: { file: TRUE } },
  {
    name: 'graphile-worker 0.17.3, default',
    program: 'drain-graphile.mjs',
    job: { package: 'graphile-worker-17', tuned: false, command: TRUE },
    few: true,
  },
  {
    name: 'pg-boss 10.4.2, best',
    program: 'drain-boss.mjs',
    job: { version: '10', batch: 500, command: TRUE },
    few: true,
  },
];

export const commands: Line = {
  name: 'commands',
  title: 'Drain of a queue, /bin/true',
  async measure(stage, { name, rounds }, say) {
    const share = name === 'quick' ? QUICK_SHARE : 1;
    const flood = new Flood(stage, Math.round(COMMANDS[16] * share), FLOOD_MB * share);
    try {
      const contenders = [
        ...([16, 4, 1] as const).flatMap((slots) => atSlots(stage, slots, share)),
        ...flood.contenders(),
      ];
      const figures = await takeTurns(contenders, rounds, UNITS, say);
      return { figures, goals: goalsOf(figures), notes: notes(flood) };
    } finally {
      flood.remove();
    }
  },
};

function atSlots(stage: Stage, slots: Slots, share: number): Contender[] {
  const count = Math.max(slots, Math.round(COMMANDS[slots] * share));
  return ENTRIES.filter(({ few }) => slots === 16 || !few).map(({ name, program, job }) => ({
    name: at(name, slots),
    ...(slots !== 16 && { rounds: FEWER_ROUNDS }),
    turn: () => turnOf(stage, program, count, slots, job),
  }));
}

function at(name: string, slots: Slots): string {
  return `${name}, ${slots} at a time`;
}

async function turnOf(stage: Stage, program: string, count: number, slots: number, job: object) {
  const folder = mkdtempSync(join(stage.folder, 'logs of commands-'));
  const floor = program.startsWith('floor-');
  const database = floor ? null : await (program === 'commands-cape.mjs' ? stage.capeDatabase() : stage.database());
  try {
    const amounts = { commands: count, issues: count, slots, concurrency: slots };
    const told = await stage.run(program, { url: database?.url, folder, ...amounts, ...job });
    return { 'commands/s': count / told.said.seconds! };
  } finally {
    await database?.drop();
    emptyFiles(folder);
  }
}

/**
 * Their place on the disk is given back, and they go with the stage's folder. Removed now, they would be paid for by the
 * next turn: where ext4 has no journal it looks, for minutes, at each inode that was freed before it takes one for a new
 * file. That was a quarter of a worker's processor time.
 */
function emptyFiles(folder: string): void {
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true }))
    if (entry.isFile()) truncateSync(join(entry.parentPath, entry.name));
}

/** The same, each command with its share of so many megabytes to say; the floor writes them to a file for each too. */
class Flood {
  static readonly OURS = `${OURS}, 16 at a time, with output`;
  static readonly PIPED = `${PIPED}, 16 at a time, with output to files`;
  readonly megabytes: number;
  readonly #stage: Stage;
  readonly #count: number;
  readonly #share: string;

  constructor(stage: Stage, count: number, megabytes: number) {
    this.megabytes = megabytes;
    this.#stage = stage;
    this.#count = count;
    this.#share = join(stage.folder, 'share');
    const line = `${'x'.repeat(99)}\n`;
    writeFileSync(this.#share, line.repeat(Math.ceil((megabytes * 1e6) / count / line.length)));
  }

  contenders(): Contender[] {
    const turn = (program: string, job: object) => () => turnOf(this.#stage, program, this.#count, 16, job);
    return [
      { name: Flood.OURS, turn: turn('commands-cape.mjs', { command: `sh -c '${SAY}' '${this.#share}'` }) },
      {
        name: Flood.PIPED,
        turn: turn('floor-spawn.mjs', { file: 'sh', args: ['-c', SAY, this.#share], stdio: 'pipe', keep: true }),
      },
    ];
  }

  remove(): void {
    rmSync(this.#share, { force: true });
  }
}

function goalsOf(figures: readonly Figure[]): GoalResult[] {
  const rate = (contender: string) => figureOf(figures, contender, 'commands/s');
  const [ours, piped] = [rate(at(OURS, 16)), rate(at(PIPED, 16))];
  const [flooded, floodedPiped] = [rate(Flood.OURS), rate(Flood.PIPED)];
  const still = ratio(flooded.samples, floodedPiped.samples);
  const before = ratio(ours.samples, piped.samples);
  return [
    atLeastTimes('Command, 16 slots, containment on', 1, ours, rate(at(GRAPHILE, 16))),
    atLeastTimes('The same against what Node can do', 0.9, ours, piped),
    atLeastTimes('The same, since a keeper starts the commands', 1, ours, piped),
    {
      what: `The same with ${FLOOD_MB} MB of output flowing`,
      goal: 'as a share of the floor within 10 % of the line above',
      reached: `${still.toFixed(2)} of the floor against ${before.toFixed(2)} (${Math.round(median(flooded.samples))} commands/s)`,
      met: still >= before * 0.9,
    },
  ];
}

function notes({ megabytes }: Flood): string[] {
  return [
    'cape-worker is the program as it is installed, with `--command` and a log folder on disk: keeper, warden, leases, history, a log file per attempt. The commands are queued while it waits; one before them has its keeper started. The clock is that of its history, from the first start to the last end.',
    "The peers' tasks call `execFile`, and contain nothing: graphile-worker as in the line above; pg-boss with batches of 500, of which so many run at a time. The floors have no queue at all: `child_process.spawn` in a loop, and `xargs -n 1 -P`.",
    `With output: each command is a \`cat\` of its share of ${megabytes} MB. The floor pipes it to a file per command, which is the least that a worker has to do to keep it; the goal compares shares of the floor, since \`cat\` and the disk cost the same for both.`,
    `1 and 4 at a time have ${FEWER_ROUNDS} rounds at most.`,
  ];
}

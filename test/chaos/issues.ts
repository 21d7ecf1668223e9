/** What the issues of a run do (command.sh does it), and how each must end. */
import type { Status } from '../../src/core/issue.js';
import { type Random, randomOf } from './random.js';

interface Kind {
  /** How many of a hundred issues. */
  readonly share: number;
  /** How long the command takes by itself, tenths of a second. */
  readonly tenths: readonly [least: number, most: number];
  /** The end where nobody cancels it. */
  readonly ends: Extract<Status, 'completed' | 'failed'>;
  readonly timeoutSeconds?: number;
  readonly maxAttempts?: number;
}

export const KINDS = {
  quick: { share: 20, tenths: [0, 0], ends: 'completed' },
  sleep: { share: 24, tenths: [5, 60], ends: 'completed' },
  // Longer than lease and rescue together: whoever is cut off holds it while another takes it over.
  long: { share: 10, tenths: [200, 280], ends: 'completed' },
  'die-once': { share: 5, tenths: [0, 0], ends: 'completed' },
  'fail-once': { share: 6, tenths: [2, 20], ends: 'completed' },
  fail: { share: 5, tenths: [2, 10], ends: 'failed' },
  'snooze-once': { share: 5, tenths: [0, 0], ends: 'completed' },
  invalid: { share: 3, tenths: [0, 0], ends: 'failed' },
  stubborn: { share: 8, tenths: [20, 60], ends: 'completed' },
  hold: { share: 6, tenths: [5, 30], ends: 'completed' },
  'signal-once': { share: 4, tenths: [0, 0], ends: 'completed' },
  timeout: { share: 3, tenths: [0, 0], ends: 'failed', timeoutSeconds: 2, maxAttempts: 2 },
  flood: { share: 1, tenths: [0, 0], ends: 'completed' },
} as const satisfies Record<string, Kind>;

export type KindName = keyof typeof KINDS;

export interface IssuePlan {
  readonly n: number;
  /** When it is inserted, milliseconds from the beginning. */
  readonly atMs: number;
  readonly kind: KindName;
  /** Unique in a run: by it an insert whose answer was lost is found again. */
  readonly description: string;
  readonly priority: number;
  readonly timeoutSeconds: number | null;
  readonly maxAttempts: number | null;
}

/** Sixteen slots work off about three a second of this mix where nothing is in their way. */
const PER_MINUTE = 75;

export function planIssues(seed: number, minutes: number): IssuePlan[] {
  const random = randomOf(seed, 1);
  const spanMs = minutes * 60_000;
  const count = Math.max(20, Math.round(PER_MINUTE * minutes));
  const deck = random.shuffled(deckOf(count));
  const times = Array.from({ length: count }, () => random.between(0, Math.floor(spanMs * 0.9))).sort((a, b) => a - b);
  return times.map((atMs, index) => plan(index + 1, atMs, deck[index]!, random));
}

/** For runs that must find something: long commands, all there before the first connection is lost. */
export function planLongIssues(count: number): IssuePlan[] {
  return Array.from({ length: count }, (_, index) => ({
    ...plan(index + 1, 200 * index, 'long', randomOf(1, 1)),
    description: `chaos ${index + 1} long 36`,
  }));
}

/** By their shares and not by chance: the rare kinds are in every run. */
function deckOf(count: number): KindName[] {
  const names = Object.keys(KINDS) as KindName[];
  const deck = names.flatMap((name) =>
    Array<KindName>(Math.max(1, Math.round((KINDS[name].share * count) / 100))).fill(name),
  );
  while (deck.length < count) deck.push('sleep');
  return deck;
}

function plan(n: number, atMs: number, kind: KindName, random: Random): IssuePlan {
  const { tenths, timeoutSeconds, maxAttempts }: Kind = KINDS[kind];
  const seconds = random.between(...tenths) / 10;
  return {
    n,
    atMs,
    kind,
    description: `chaos ${n} ${kind} ${seconds}`,
    priority: random.chance(10) ? random.between(-5, 5) : 0,
    timeoutSeconds: timeoutSeconds ?? null,
    maxAttempts: maxAttempts ?? null,
  };
}

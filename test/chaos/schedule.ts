/** Which fault comes when, and for how long: pure, so that a seed names a run. The timing within the kernel it does not. */
import { type Random, randomOf } from './random.js';

/** What a fault strikes. Two faults never share a target at one time, but faults of different targets meet freely. */
export type Target = 'process' | 'network' | 'disk' | 'clock' | 'database' | 'sessions' | 'rows';

interface Kind {
  readonly target: Target;
  /** How often it is in a deck; a deck is dealt to its end before the next. */
  readonly copies: number;
  /** How long it lasts, milliseconds; for a kill, how long the worker stays away. */
  readonly lasts: readonly [least: number, most: number];
}

/** Of a lease of 10 s: a rescue comes 8.5 to 11 s after it has ended, so 21 s and more outlast both. */
export const FAULTS = {
  'kill worker': { target: 'process', copies: 3, lasts: [100, 25_000] },
  'kill keeper': { target: 'process', copies: 1, lasts: [0, 0] },
  'kill warden': { target: 'process', copies: 1, lasts: [0, 0] },
  'kill worker and keeper': { target: 'process', copies: 1, lasts: [100, 24_000] },
  'stop worker': { target: 'process', copies: 2, lasts: [11_000, 26_000] },
  'stop keeper': { target: 'process', copies: 1, lasts: [7_000, 10_000] },
  'term worker': { target: 'process', copies: 1, lasts: [0, 3_000] },
  'term worker twice': { target: 'process', copies: 1, lasts: [0, 3_000] },
  'reset connections': { target: 'network', copies: 1, lasts: [0, 0] },
  'refuse connections': { target: 'network', copies: 1, lasts: [1_000, 12_000] },
  'cut replies': { target: 'network', copies: 2, lasts: [300, 3_000] },
  'black hole': { target: 'network', copies: 2, lasts: [5_000, 30_000] },
  'stall and deliver': { target: 'network', copies: 2, lasts: [3_000, 24_000] },
  'slow network': { target: 'network', copies: 1, lasts: [4_000, 12_000] },
  'deaf listener': { target: 'network', copies: 1, lasts: [4_000, 15_000] },
  'full disk': { target: 'disk', copies: 2, lasts: [2_000, 10_000] },
  'clock jump': { target: 'clock', copies: 1, lasts: [5_000, 30_000] },
  'stop Postgres fast': { target: 'database', copies: 1, lasts: [100, 12_000] },
  'stop Postgres immediately': { target: 'database', copies: 1, lasts: [100, 12_000] },
  'kill Postgres': { target: 'database', copies: 1, lasts: [100, 20_000] },
  'terminate sessions': { target: 'sessions', copies: 2, lasts: [0, 0] },
  'terminate listeners': { target: 'sessions', copies: 1, lasts: [0, 0] },
  'lock rows': { target: 'rows', copies: 2, lasts: [1_000, 12_000] },
  'cancel an issue': { target: 'rows', copies: 3, lasts: [0, 0] },
  'requeue by hand': { target: 'rows', copies: 1, lasts: [0, 0] },
} as const satisfies Record<string, Kind>;

export type FaultKind = keyof typeof FAULTS;

export interface FaultPlan {
  readonly kind: FaultKind;
  /** From the beginning, milliseconds. */
  readonly atMs: number;
  readonly forMs: number;
  /** Index of the worker that it strikes; null where it strikes the database or its rows. */
  readonly worker: number | null;
  /** For whatever it has to choose: a whole number from 0 to 999,999. */
  readonly pick: number;
}

export interface ScheduleOptions {
  readonly seed: number;
  readonly minutes: number;
  readonly workers: number;
  /** False where no small file system can be mounted. */
  readonly disk: boolean;
}

const FIRST_MS = 2000;
/** The last ones still have time to act before everything is healed. */
const LAST_MS = 2000;
/** Between two faults of one process: its helpers have come up again, or nobody is left to end what it leaves. */
const BREATH_MS = 3000;
/** Nothing else happens while the database is away: it is there for most of the time. */
const DATABASE_BREATH_MS = 9000;

export function planFaults({ seed, minutes, workers, disk }: ScheduleOptions): FaultPlan[] {
  const random = randomOf(seed, 2);
  const endMs = minutes * 60_000;
  const kinds = (Object.keys(FAULTS) as FaultKind[]).filter((kind) => disk || FAULTS[kind].target !== 'disk');
  const freeAt = new Map<string, number>();
  const plans: FaultPlan[] = [];
  let deck: FaultKind[] = [];
  for (let atMs = FIRST_MS; atMs < endMs - LAST_MS; atMs += gap(random)) {
    if (deck.length === 0)
      deck = random.shuffled(kinds.flatMap((kind) => Array<FaultKind>(FAULTS[kind].copies).fill(kind)));
    const dealt = deck.findIndex((kind) =>
      placesOf(FAULTS[kind].target, workers).some((place) => isFree(freeAt, place, atMs)),
    );
    if (dealt < 0) continue;
    const [kind] = deck.splice(dealt, 1) as [FaultKind];
    const place = random.pick(placesOf(FAULTS[kind].target, workers).filter((one) => isFree(freeAt, one, atMs)));
    const forMs = Math.min(lasts(kind, random), Math.floor(endMs - atMs));
    freeAt.set(place.name, atMs + forMs + (FAULTS[kind].target === 'database' ? DATABASE_BREATH_MS : BREATH_MS));
    plans.push({ kind, atMs, forMs, worker: place.worker, pick: random.between(0, 999_999) });
  }
  return plans;
}

/** How long the provocation takes. */
export const PROVOCATION_MINUTES = 0.6;

/**
 * For a product without its fences: connections are black holes for longer than lease and rescue while commands of 36 s
 * run. Here somebody else must take over in time, and the first holder must come back while the second still works.
 */
export function planProvocation(): FaultPlan[] {
  return [0, 2].map((worker) => ({ kind: 'black hole', atMs: 500 * worker, forMs: 28_000, worker, pick: 0 }));
}

interface Place {
  readonly name: string;
  readonly worker: number | null;
}

function placesOf(target: Target, workers: number): Place[] {
  if (target === 'database' || target === 'sessions' || target === 'rows') return [{ name: target, worker: null }];
  return Array.from({ length: workers }, (_, worker) => ({ name: `${target} ${worker}`, worker }));
}

/** Sessions that end and people at work may meet others of their kind. */
function isFree(freeAt: Map<string, number>, { name }: Place, atMs: number): boolean {
  return name === 'rows' || name === 'sessions' || (freeAt.get(name) ?? 0) <= atMs;
}

/** Short ones more often: with every worker away for half of the time little would be left to be struck. */
function lasts(kind: FaultKind, random: Random): number {
  const [least, most] = (FAULTS[kind] as Kind).lasts;
  return random.between(least, random.between(least, most));
}

/** Mostly one after another, now and then several at once. */
function gap(random: Random): number {
  return random.chance(25) ? random.between(0, 60) : random.between(700, 3300);
}

/**
 * Timers that share a wake. What a program with nothing to do costs is its waking up: each time its code and data have
 * left the processor's caches, and 1 ms goes by before the first statement is on its way. So whoever can wait a bit says
 * between which times it wants to be called, and is called along with the first that must be.
 */

/** Milliseconds from now. */
export interface Span {
  /** From then on it comes along with any other. */
  readonly from: number;
  /** No later than then. */
  readonly until: number;
  /** Default: the process lives until then. */
  readonly unref?: boolean;
}

/** So much of its time what is done regularly may be done early. */
export const EARLY = 0.1;

interface Sleeper {
  readonly from: number;
  readonly until: number;
  readonly holds: boolean;
  readonly call: () => void;
}

/** A timer's time is rounded. */
const ROUNDING_MS = 1;
/** What setTimeout takes. */
const LONGEST_MS = 2 ** 31 - 1;

const sleepers = new Set<Sleeper>();
let timer: NodeJS.Timeout | undefined;
let timerAt = Number.POSITIVE_INFINITY;

/** Calls once within the span. @returns calls it off */
export function wakeWithin({ from, until, unref = false }: Span, call: () => void): () => void {
  const now = performance.now();
  const sleeper = { from: now + from, until: now + Math.min(until, LONGEST_MS), holds: !unref, call };
  sleepers.add(sleeper);
  arm(sleeper.until, now);
  return () => {
    // The timer stays, and finds out by itself that nobody is due: a busy caller calls off a thousand times a second.
    if (sleepers.delete(sleeper)) hold();
  };
}

/** Calls again and again, each time within the span after the last; keeps no process alive. @returns ends it */
export function wakeEvery(span: Pick<Span, 'from' | 'until'>, call: () => void): () => void {
  let callOff = () => {};
  const next = () => {
    callOff = wakeWithin({ ...span, unref: true }, () => {
      next();
      call();
    });
  };
  next();
  return () => callOff();
}

function arm(until: number, now: number): void {
  if (until < timerAt) {
    clearTimeout(timer);
    timerAt = until;
    // Of a difference that rounding has made greater than that, setTimeout would make one millisecond.
    timer = setTimeout(wake, Math.min(LONGEST_MS, Math.ceil(until - now)));
  }
  hold();
}

/** Keeps the process alive as long as somebody wants that. */
function hold(): void {
  if (sleepers.size === 0) {
    clearTimeout(timer);
    timerAt = Number.POSITIVE_INFINITY;
    return;
  }
  for (const { holds } of sleepers) {
    if (holds) {
      timer?.ref();
      return;
    }
  }
  timer?.unref();
}

function wake(): void {
  const now = performance.now();
  timer = undefined;
  timerAt = Number.POSITIVE_INFINITY;
  const due = [...sleepers].filter(({ from, until }) => from <= now || until <= now + ROUNDING_MS);
  for (const sleeper of due) sleepers.delete(sleeper);
  for (const { call } of due) call();
  if (sleepers.size > 0) arm(Math.min(...[...sleepers].map(({ until }) => until)), performance.now());
}

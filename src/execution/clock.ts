/** Time for deadlines: two clocks that no process of a host has to agree on first, and that nobody can set. */
import { uptime } from 'node:os';
import type { Deadline } from './spec.js';

/** This moment in both clocks. `boot` moves in steps of 10 ms. Reads /proc/uptime, 9 us: 50 times `monotonic`. */
export function now(): Deadline {
  return { mono: monotonic(), boot: uptime() * 1000 };
}

/** This moment as `Deadline.mono` counts it, for whatever may stand still with a suspended host. */
export function monotonic(): number {
  return Number(process.hrtime.bigint() / 1000n) / 1000;
}

let turn: Deadline | null = null;

/** `now`, read once in a turn of the event loop: for what is asked hundreds of times in a turn. */
export function nowInThisTurn(): Deadline {
  if (turn === null) {
    turn = now();
    setImmediate(() => {
      turn = null;
    });
  }
  return turn;
}

/**
 * The deadline `ms` after `base`. For a lease take `base` before the claim or renewal is *sent*: the database counts
 * from some time between sending and reply.
 */
export function after(base: Deadline, ms: number): Deadline {
  return { mono: base.mono + ms, boot: base.boot + ms };
}

/** True once either clock has passed it: after a suspend only `boot` has. */
export function isPast(deadline: Deadline, at: Deadline = now()): boolean {
  return at.mono > deadline.mono || at.boot > deadline.boot;
}

/** Waits for a promise, but no longer than `ms`. True where it came in time. */
export async function within(promise: Promise<unknown>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((done) => {
    timer = setTimeout(done, ms, false);
  });
  try {
    return await Promise.race([promise.then(() => true), late]);
  } finally {
    clearTimeout(timer); // also where it is rejected: a timer keeps a process alive
  }
}

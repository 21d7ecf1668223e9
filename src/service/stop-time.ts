/** The times of a stop: how long a manager waits before it kills, and how far apart two signals are two. */

/** An ended command takes the grace; then its result is written, for ten seconds at most where the database is away. */
const BESIDES_GRACE_S = 30;
const SHORTEST_S = 90;
/** A worker has no limit to its drain by default, and an issue one of an hour: some hours let every usual one finish. */
const LONGEST_DRAIN_S = 6 * 3600;

/** Between the two signals of --now, milliseconds: the worker takes those within half a second for one. */
export const BETWEEN_SIGNALS_MS = 800;

/** Where the worker asks for more time while it drains: what one needs that does not. Seconds. */
export function stopSeconds(graceMs: number): number {
  return Math.max(SHORTEST_S, Math.ceil(graceMs / 1000) + BESIDES_GRACE_S);
}

/** Where it can't ask: the longest drain, and then the same. Seconds. */
export function longStopSeconds(graceMs: number): number {
  return LONGEST_DRAIN_S + stopSeconds(graceMs);
}

import { setTimeout as pause } from 'node:timers/promises';

export interface UntilOptions {
  /** Milliseconds, default 25,000: no test passes sooner with a shorter time, and machines are busy. */
  timeoutMs?: number;
  /** What is waited for: named by the error. */
  what?: string;
}

/** Waits until `check` gives something truthy, and gives it back. A `check` that throws counts as "not yet". */
export async function until<T>(
  check: () => T | Promise<T>,
  { timeoutMs = 25_000, what = String(check) }: UntilOptions = {},
): Promise<NonNullable<Exclude<T, false>>> {
  const end = performance.now() + timeoutMs;
  let last: unknown;
  for (;;) {
    try {
      last = await check();
      if (last) return last as NonNullable<Exclude<T, false>>;
    } catch (error) {
      last = error;
    }
    if (performance.now() > end) throw new Error(`not within ${timeoutMs} ms: ${what} (last: ${String(last)})`);
    await pause(15);
  }
}

/** Waiting for a service: Ctrl-C ends the waiting, and nothing else. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Interruption } from './interruption.js';

/** systemctl hears the same Ctrl-C, and fails of it a moment sooner or later than we are told. */
const SAME_SIGNAL_MS = 200;

export type Waited<T> = { readonly done: T } | { readonly interrupted: number };

/** @returns what came of the work, or the exit code where a signal ended the waiting */
export async function waitOrInterrupt<T>(work: (signal: AbortSignal) => Promise<T>): Promise<Waited<T>> {
  const interruption = new Interruption();
  const { signal } = interruption;
  const aborted = new Promise<Waited<T>>((resolve) =>
    signal.addEventListener('abort', () => resolve({ interrupted: interruption.exitCode })),
  );
  const done = work(signal).then(
    (result) => ({ done: result }),
    async (error) => {
      await sleep(SAME_SIGNAL_MS);
      if (!signal.aborted) throw error;
      return { interrupted: interruption.exitCode };
    },
  );
  try {
    return await Promise.race([done, aborted]);
  } finally {
    interruption.close();
  }
}

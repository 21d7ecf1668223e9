/** A word about workers that nobody has seen: a name mistyped looks like one that has not been started yet. */
import type { CapeClient } from '../client.js';
import { CapeError } from '../core/errors.js';
import { failureOf } from '../db/failure.js';
import { toStderr } from './database.js';

/** Says so on standard error where no worker of this name was ever there. What was asked for is done all the same. */
export async function sayIfUnseen(client: CapeClient, worker: string | undefined): Promise<void> {
  if (worker === undefined) return;
  const seen = await isSeen(client, worker);
  if (!seen) toStderr(`cape-worker: no worker of that name has been seen yet: ${worker}`);
}

/** A role that only adds issues can't look; what it asked for is done, and a mere hint must not fail it. */
async function isSeen(client: CapeClient, worker: string): Promise<boolean> {
  try {
    return (await client.workers()).some(({ id }) => id === worker);
  } catch (error) {
    if (error instanceof CapeError && failureOf(error.cause).kind === 'permission') return true;
    throw error;
  }
}

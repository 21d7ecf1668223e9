/** A word about workers that nobody has seen: a name mistyped looks like one that has not been started yet. */
import type { CapeClient } from '../client.js';
import { oneLine } from '../core/text.js';
import { toStderr } from './database.js';

/** Says so on standard error where no worker of this name was ever there. What was asked for is done all the same. */
export async function sayIfUnseen(client: CapeClient, worker: string | undefined): Promise<void> {
  if (worker === undefined) return;
  const seen = (await client.workers()).some(({ id }) => id === worker);
  if (!seen) toStderr(`cape-worker: no worker of that name has been seen yet: ${oneLine(worker)}`);
}

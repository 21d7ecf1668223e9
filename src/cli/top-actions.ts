/** What the keys of `top` change, and what is said about it. */
import type { CapeClient } from '../client.js';
import { CapeError } from '../core/errors.js';
import { cancelOne, retryOne } from './issues-change.js';
import type { Change } from './top-model.js';

/** Does it. @returns what became of it, or why it can't be done: one line */
export async function actOn(client: CapeClient, action: Change): Promise<string> {
  try {
    if ('id' in action) {
      const { do: verb, id } = action;
      return `issue ${id}: ${await (verb === 'retry' ? retryOne : cancelOne)(client, id)}`;
    }
    const { do: verb, worker } = action;
    await client[verb](worker ?? undefined);
    const whom = worker === null ? 'all workers' : `worker ${worker}`;
    return verb === 'pause' ? `${whom}: paused; what runs goes on` : `${whom}: may claim again`;
  } catch (error) {
    if (error instanceof CapeError) return error.message;
    throw error;
  }
}

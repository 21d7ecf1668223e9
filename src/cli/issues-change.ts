/** `issues retry`, `cancel`, `assign` and `delete`. Of several ids all are tried, and what became of each is said. */
import type { CapeClient } from '../client.js';
import { CapeError, EXIT } from '../core/errors.js';
import { oneLine } from '../core/text.js';
import { command, flag } from './command.js';
import { CLIENT_OPTIONS, toStderr, withClient } from './database.js';
import { print } from './output.js';
import { sayIfUnseen } from './unseen.js';
import { idsOf } from './values.js';

const SEVERAL = { operands: '<id...>', count: { min: 1, max: Number.POSITIVE_INFINITY } };

/** One change to each id; a refusal of one does not stop the others, any other error does. */
async function each(
  words: readonly string[],
  flags: object,
  change: (client: CapeClient, id: number) => Promise<string>,
): Promise<number> {
  const ids = idsOf(words);
  return withClient(flags, async (client) => {
    let refused = false;
    for (const id of ids) {
      try {
        print(`issue ${id}: ${await change(client, id)}`);
      } catch (error) {
        if (!(error instanceof CapeError) || error.kind !== 'refused') throw error;
        toStderr(`cape-worker: ${error.message}`);
        refused = true;
      }
    }
    return refused ? EXIT.refused : EXIT.ok;
  });
}

const RETRIED = {
  again: 'will run again',
  now: 'runs now instead of waiting',
  waiting: 'is pending already, nothing to do',
} as const;

/** @returns what became of it, in words */
export async function retryOne(client: CapeClient, id: number): Promise<string> {
  return RETRIED[await client.retry(id)];
}

/** @returns what became of it, in words */
export async function cancelOne(client: CapeClient, id: number): Promise<string> {
  const done = await client.cancel(id);
  return done.state === 'cancelled' ? 'cancelled' : `worker ${oneLine(done.worker)} is ending it`;
}

export const retry = command({
  ...SEVERAL,
  options: CLIENT_OPTIONS,
  examples: [
    ['issues retry 7', 'run issue 7 again, with fresh counts'],
    ['issues retry 7 8 9', 'several'],
  ],
  run: ({ words, flags }) => each(words, flags, retryOne),
});

export const cancel = command({
  ...SEVERAL,
  options: CLIENT_OPTIONS,
  examples: [['issues cancel 7', 'a pending one is cancelled, a running one is ended']],
  run: ({ words, flags }) => each(words, flags, cancelOne),
});

export const remove = command({
  ...SEVERAL,
  options: CLIENT_OPTIONS,
  examples: [['issues delete 7 8', 'remove them and their attempts']],
  run: ({ words, flags }) =>
    each(words, flags, async (client, id) => {
      await client.delete(id);
      return 'deleted';
    }),
});

export const assign = command<{ readonly anyone?: boolean }>({
  operands: '<id> <worker | ->',
  count: { min: 1, max: 2 },
  options: { anyone: flag('Let any worker take it, as "-" does'), ...CLIENT_OPTIONS },
  examples: [
    ['issues assign 7 alleycat-1', 'only alleycat-1 may run it'],
    ['issues assign 7 -', 'any worker may'],
  ],
  run({ words, flags }) {
    const [id = '', name] = words;
    if ((name === undefined) !== (flags.anyone === true)) {
      throw new CapeError('usage', 'issues assign: needs a worker, or "-" or --anyone for any; one of them');
    }
    const worker = name === undefined || name === '-' ? null : name;
    return each([id], flags, async (client, issue) => {
      await client.assign(issue, worker);
      await sayIfUnseen(client, worker ?? undefined);
      return worker === null ? 'any worker may run it' : `directed to ${worker}`;
    });
  },
});

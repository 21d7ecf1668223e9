/** `pause` and `resume`: whether workers claim. What runs goes on; the database remembers. */
import { EXIT } from '../core/errors.js';
import { workerIdSchema } from '../core/issue.js';
import { command, value } from './command.js';
import { CLIENT_OPTIONS, withClient } from './database.js';
import { print } from './output.js';
import { sayIfUnseen } from './unseen.js';
import { checked } from './values.js';

interface PauseFlags {
  readonly worker?: string;
}

const workerOf = ({ worker }: PauseFlags) =>
  worker === undefined ? undefined : checked('--worker', workerIdSchema, worker);

export const pause = command<PauseFlags>({
  options: { worker: value('This worker only [all, also those not started yet]'), ...CLIENT_OPTIONS },
  examples: [
    ['pause', 'nobody claims any more; what runs goes on'],
    ['pause --worker alleycat-1', 'only this one'],
  ],
  async run({ flags }) {
    const worker = workerOf(flags);
    return withClient(flags, async (client) => {
      await client.pause(worker);
      print(worker === undefined ? 'all workers are paused' : `worker ${worker} is paused`);
      await sayIfUnseen(client, worker);
      return EXIT.ok;
    });
  },
});

export const resume = command<PauseFlags>({
  options: { worker: value('This worker only [every pause ends]'), ...CLIENT_OPTIONS },
  examples: [
    ['resume', 'all workers claim again'],
    ['resume --worker alleycat-1', 'only this one'],
  ],
  async run({ flags }) {
    const worker = workerOf(flags);
    const left = await withClient(flags, async (client) => {
      await client.resume(worker);
      return client.pauses();
    });
    if (worker === undefined) print('all workers claim again');
    else if (left.everybody) print(`worker ${worker} is not paused by itself, but all workers are: cape-worker resume`);
    else print(`worker ${worker} claims again`);
    return EXIT.ok;
  },
});

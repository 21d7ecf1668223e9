/** `prune`: what workers do by themselves every hour, now and to the end. */
import { EXIT } from '../core/errors.js';
import { whole } from '../core/values.js';
import { command, value } from './command.js';
import { DATABASE_OPTIONS, withClient } from './database.js';
import { print } from './output.js';
import { checked } from './values.js';

interface PruneFlags {
  readonly days?: string;
}

const DAYS = '90';

export const prune = command<PruneFlags>({
  options: { days: value(`Older than so many days [${DAYS}]`), ...DATABASE_OPTIONS },
  examples: [
    ['prune', 'events and attempts of more than 90 days ago'],
    ['prune --days 7', 'of more than a week ago'],
  ],
  async run({ flags }) {
    const days = checked('--days', whole(0, 36_500), flags.days ?? DAYS);
    const { events, attempts } = await withClient(flags, (client) => client.prune(days));
    print(`${events} events and ${attempts} attempts from more than ${days} days ago are deleted`);
    return EXIT.ok;
  },
});

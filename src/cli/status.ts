/** `status`: how the queue is doing, in a few lines. */
import type { Stats } from '../client.js';
import { EXIT } from '../core/errors.js';
import { oneLine } from '../core/text.js';
import { command, JSON_OPTION } from './command.js';
import { DATABASE_OPTIONS, withClient } from './database.js';
import { durationText, print, printFields, printJson } from './output.js';

export const status = command<{ readonly json?: boolean }>({
  options: { ...JSON_OPTION, ...DATABASE_OPTIONS },
  examples: [
    ['status', 'counts, the oldest pending issue, what was done in the last hour'],
    ['status --json', 'the same numbers for programs'],
  ],
  async run({ flags }) {
    const [stats, paused] = await withClient(flags, async (client) => [await client.stats(), await client.pauses()]);
    if (flags.json) {
      printJson({ ...stats, paused });
      return EXIT.ok;
    }
    printFields(fieldsOf(stats));
    if (paused.everybody) print('\nall workers are paused: cape-worker resume');
    for (const id of paused.workers)
      print(`\nworker ${oneLine(id)} is paused: cape-worker resume --worker ${oneLine(id)}`);
    for (const { worker_id, issues, seen } of stats.stranded) {
      const why = seen ? 'is not running' : 'has never been seen';
      print(
        `\n${issues} pending for worker ${oneLine(worker_id)}, which ${why}: start it, or cape-worker issues assign`,
      );
    }
    return EXIT.ok;
  },
});

function fieldsOf(stats: Stats): [string, string][] {
  const parked = stats.parked === 0 ? '' : `, ${stats.parked} of them later`;
  const oldest = stats.oldest_pending_seconds;
  const fields: [string, string][] = [
    ['pending', `${stats.pending}${parked}`],
    ['oldest pending', oldest === null ? '-' : `${durationText(Math.max(0, oldest) * 1000)} ago`],
    ['started', String(stats.started)],
    ['completed', `${stats.completed} (${stats.completed_last_hour} in the last hour)`],
    ['failed', `${stats.failed} (${stats.failed_last_hour} in the last hour)`],
    ['cancelled', String(stats.cancelled)],
  ];
  if (stats.other > 0) fields.push(['other statuses', `${stats.other}, which no worker touches`]);
  return fields;
}

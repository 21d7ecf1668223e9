/** `status`: how the queue is doing, in a few lines. */
import type { Stats, WorkerRow } from '../client.js';
import { EXIT } from '../core/errors.js';
import { oneLine } from '../core/text.js';
import { STALE_SECONDS } from '../queue/workers.js';
import { command, JSON_OPTION } from './command.js';
import { CLIENT_OPTIONS, nameOfDatabase, withClient } from './database.js';
import { durationText, print, printFields, printJson } from './output.js';

export const status = command<{ readonly json?: boolean }>({
  options: { ...JSON_OPTION, ...CLIENT_OPTIONS },
  examples: [
    ['status', 'counts, the oldest pending issue, what was done in the last hour'],
    ['status --json', 'the same numbers for programs'],
  ],
  async run({ flags }) {
    const { database, stats, paused, workers } = await withClient(flags, async (client, opened) => ({
      database: await nameOfDatabase(opened),
      stats: await client.stats(),
      paused: await client.pauses(),
      workers: await client.workers(),
    }));
    if (flags.json) {
      printJson({ database, ...stats, paused });
      return EXIT.ok;
    }
    printFields([['database', oneLine(database)], ...fieldsOf(stats)]);
    for (const hint of hintsOn(workers, stats)) print(`\n${hint}`);
    if (paused.everybody) print('\nall workers are paused: cape-worker resume');
    for (const id of paused.workers)
      print(`\nworker ${oneLine(id)} is paused: cape-worker resume --worker ${oneLine(id)}`);
    for (const { worker_id, issues, seen } of stats.stranded) {
      const why = seen ? 'is not running' : 'has never been seen';
      const least = stats.estimated.includes('stranded') ? 'at least ' : '';
      print(
        `\n${least}${issues} pending for worker ${oneLine(worker_id)}, which ${why}: start it, or cape-worker issues assign`,
      );
    }
    return EXIT.ok;
  },
});

/** Why what waits does wait, where that is for want of a worker. */
function hintsOn(workers: readonly WorkerRow[], stats: Stats): string[] {
  const isAway = (row: WorkerRow) => row.stopped_at !== null || row.silent_ms > STALE_SECONDS * 1000;
  const held = workers.filter((row) => row.running > 0 && isAway(row));
  const hints = held.map(
    ({ id, running, silent_ms }) =>
      `${running} started by worker ${oneLine(id)}, not heard of for ${durationText(silent_ms)}`,
  );
  if (stats.pending > 0 && workers.every(isAway)) hints.push('no worker is running: cape-worker --worker-id <name>');
  return hints;
}

type CountName = Exclude<keyof Stats, 'stranded' | 'estimated'>;

function fieldsOf(stats: Stats): [string, string][] {
  const number = (name: CountName) => `${stats.estimated.includes(name) ? 'about ' : ''}${stats[name]}`;
  const parked = stats.parked === 0 ? '' : `, ${number('parked')} of them later`;
  const oldest = stats.oldest_pending_seconds;
  const fields: [string, string][] = [
    ['pending', `${number('pending')}${parked}`],
    ['oldest pending', oldest === null ? '-' : `${durationText(Math.max(0, oldest) * 1000)} ago`],
    ['started', number('started')],
    ['completed', `${number('completed')} (${number('completed_last_hour')} in the last hour)`],
    ['failed', `${number('failed')} (${number('failed_last_hour')} in the last hour)`],
    ['cancelled', number('cancelled')],
  ];
  if (stats.other > 0) fields.push(['other statuses', `${stats.other}, which no worker touches`]);
  return fields;
}

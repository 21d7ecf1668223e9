/** `workers`: every worker that was ever seen, and how it is. */
import type { WorkerRow } from '../client.js';
import { EXIT } from '../core/errors.js';
import { oneLine } from '../core/text.js';
import { STALE_SECONDS } from '../queue/workers.js';
import { command, JSON_OPTION } from './command.js';
import { CLIENT_OPTIONS, withClient } from './database.js';
import { durationText, isNarrow, print, printJson, printTable, timeCell } from './output.js';

export const workers = command<{ readonly json?: boolean }>({
  options: { ...JSON_OPTION, ...CLIENT_OPTIONS },
  examples: [
    ['workers', 'who runs, is paused, has stopped or was not heard of any more'],
    ['workers --json', 'the rows, for programs'],
  ],
  async run({ flags }) {
    const rows = await withClient(flags, (client) => client.workers());
    if (flags.json) printJson(rows.map((row) => ({ ...row, state: stateOf(row) })));
    else if (rows.length === 0) print('no worker has been seen yet');
    else await printWorkers(rows);
    return EXIT.ok;
  },
});

export type WorkerState = 'running' | 'paused' | 'stopped' | 'stale';

/** `stale`: not heard of for so long that its issues go to others. */
export function stateOf(row: WorkerRow): WorkerState {
  if (row.stopped_at !== null) return 'stopped';
  if (row.silent_ms > STALE_SECONDS * 1000) return 'stale';
  return row.paused ? 'paused' : 'running';
}

async function printWorkers(rows: readonly WorkerRow[]): Promise<void> {
  const head = ['WORKER', 'STATE', 'HOST', 'PID', 'RUNNING', 'SINCE', 'HEARD', 'VERSION'];
  // On a narrow terminal the version, which comes last, is left out.
  const columns = isNarrow() ? head.slice(0, -1) : head;
  await printTable(
    columns,
    rows.map((row) => cells(row).slice(0, columns.length)),
  );
}

function cells(row: WorkerRow): string[] {
  return [
    oneLine(row.id),
    stateOf(row),
    oneLine(row.host),
    String(row.pid),
    `${row.running}/${row.slots}`,
    timeCell(row.started_at),
    `${durationText(Math.max(0, row.silent_ms))} ago`,
    oneLine(row.version),
  ];
}

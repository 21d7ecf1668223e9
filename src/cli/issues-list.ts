/** `issues list`: newest first. */
import { z } from 'zod';
import { EXIT } from '../core/errors.js';
import { type Issue, STATUSES, workerIdSchema } from '../core/issue.js';
import { firstLine, oneLine } from '../core/text.js';
import { whole } from '../core/values.js';
import { command, JSON_OPTION, value } from './command.js';
import { DATABASE_OPTIONS, withClient } from './database.js';
import { durationText, lineWidth, print, printJson, printTable, statusText, timeText } from './output.js';
import { checked } from './values.js';

interface ListFlags {
  readonly status?: string;
  readonly worker?: string;
  readonly limit?: string;
  readonly search?: string;
  readonly json?: boolean;
}

const statusSchema = z.enum(STATUSES, { error: `must be one of ${STATUSES.join(', ')}` });

export const list = command<ListFlags>({
  options: {
    status: value(`Only these: ${STATUSES.join(', ')}`),
    worker: value('Only what is directed to this worker, or what it runs or ran last'),
    limit: value('At most so many [50]'),
    search: value('Only those whose text contains this, in any case'),
    ...JSON_OPTION,
    ...DATABASE_OPTIONS,
  },
  examples: [
    ['issues list', 'the newest 50'],
    ['issues list --status failed --limit 10', 'the newest ten that failed'],
    ['issues list --search login --json', 'as JSON, for programs'],
  ],
  async run({ flags }) {
    const filter = {
      status: flags.status === undefined ? undefined : checked('--status', statusSchema, flags.status),
      worker: flags.worker === undefined ? undefined : checked('--worker', workerIdSchema, flags.worker),
      limit: flags.limit === undefined ? 50 : checked('--limit', whole(1, 1_000_000), flags.limit),
      search: flags.search,
    };
    const issues = await withClient(flags, (client) => client.list(filter));
    if (flags.json) printJson(issues);
    else if (issues.length === 0) print('no issues');
    else await printIssues(issues);
    return EXIT.ok;
  },
});

/** Columns before the text, with the spaces between them. */
const OTHER_COLUMNS = 75;

async function printIssues(issues: readonly Issue[]): Promise<void> {
  const width = Math.max(20, lineWidth() - OTHER_COLUMNS);
  await printTable(
    ['ID', 'STATUS', 'PRIORITY', 'ATTEMPT', 'WORKER', 'ADDED', 'ISSUE'],
    issues.map((issue) => [
      String(issue.id),
      statusText(issue.status) + waitText(issue.run_at),
      String(issue.priority),
      String(issue.attempt),
      oneLine(issue.assigned_worker_id ?? ''),
      timeText(issue.created_at),
      firstLine(issue.description, width),
    ]),
  );
}

function waitText(runAt: Date | null): string {
  return runAt === null ? '' : ` in ${durationText(Math.max(0, runAt.getTime() - Date.now()))}`;
}

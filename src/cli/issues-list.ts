/** `issues list`: newest first. */
import * as z from 'zod';
import { EXIT } from '../core/errors.js';
import { type Issue, STATUSES, workerIdSchema } from '../core/issue.js';
import { firstLine, oneLine } from '../core/text.js';
import { whole } from '../core/values.js';
import { command, JSON_OPTION, value, values } from './command.js';
import { CLIENT_OPTIONS, withClient } from './database.js';
import { durationText, isNarrow, print, printFittedTable, printJson, statusText, timeCell } from './output.js';
import { checked } from './values.js';

interface ListFlags {
  readonly status?: readonly string[];
  readonly worker?: string;
  readonly limit?: string;
  readonly search?: string;
  readonly json?: boolean;
}

const statusSchema = z.enum(STATUSES, { error: `must be one of ${STATUSES.join(', ')}` });

export const list = command<ListFlags>({
  options: {
    status: values(`Only these, several with commas: ${STATUSES.join(', ')}`),
    worker: value('Only what is directed to this worker, or what it runs or ran last'),
    limit: value('At most so many [50]'),
    search: value('Only those whose text contains this, in any case'),
    ...JSON_OPTION,
    ...CLIENT_OPTIONS,
  },
  examples: [
    ['issues list', 'the newest 50'],
    ['issues list --status failed --limit 10', 'the newest ten that failed'],
    ['issues list --status failed,cancelled', 'what did not end well'],
    ['issues list --search login --json', 'as JSON, for programs'],
  ],
  async run({ flags }) {
    const filter = {
      status: flags.status?.flatMap((text) => text.split(',').map((one) => checked('--status', statusSchema, one))),
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

async function printIssues(issues: readonly Issue[]): Promise<void> {
  const narrow = isNarrow();
  await printFittedTable(
    ['ID', 'STATUS', ...(narrow ? [] : ['PRIORITY']), 'ATTEMPT', 'WORKER', 'ADDED', 'ISSUE'],
    issues.map((issue) => [
      String(issue.id),
      statusText(issue.status) + waitText(issue.run_at),
      ...(narrow ? [] : [String(issue.priority)]),
      String(issue.attempt),
      oneLine(issue.assigned_worker_id ?? ''),
      timeCell(issue.created_at),
      summary(issue.description),
    ]),
  );
}

/** No line of a table is longer. */
const LONGEST_LINE = 500;

/** The first line, and a sign of there being more. */
function summary(text: string): string {
  const line = firstLine(text, LONGEST_LINE);
  return text.trim().includes('\n') ? `${line} …` : line;
}

function waitText(runAt: Date | null): string {
  if (runAt !== null && Number.isNaN(runAt.getTime())) return ' for good';
  return runAt === null ? '' : ` in ${durationText(Math.max(0, runAt.getTime() - Date.now()))}`;
}

/** `issues show`: one row, its attempts, and the end of the latest output. */
import { EXIT } from '../core/errors.js';
import type { Attempt, Issue } from '../core/issue.js';
import { firstLine, oneLine, printable } from '../core/text.js';
import { command, JSON_OPTION } from './command.js';
import { CLIENT_OPTIONS, withClient } from './database.js';
import {
  durationText,
  print,
  printFields,
  printFittedTable,
  printJson,
  statusText,
  timeCell,
  timeText,
  title,
} from './output.js';
import { idsOf } from './values.js';

export const show = command<{ readonly json?: boolean }>({
  operands: '<id>',
  count: { min: 1, max: 1 },
  options: { ...JSON_OPTION, ...CLIENT_OPTIONS },
  examples: [
    ['issues show 7', 'everything about issue 7'],
    ['issues show 7 --json', 'the row, with its attempts'],
  ],
  async run({ words, flags }) {
    const [id] = idsOf(words) as [number];
    const [issue, attempts] = await withClient(flags, async (client) => [
      await client.get(id),
      await client.attempts(id),
    ]);
    if (flags.json) printJson({ ...issue, attempts });
    else await printIssue(issue, attempts);
    return EXIT.ok;
  },
});

async function printIssue(issue: Issue, attempts: readonly Attempt[]): Promise<void> {
  printFields(fieldsOf(issue));
  section('text', printable(issue.description));
  if (attempts.length > 0) {
    print(`\n${title('attempts')}`);
    await printFittedTable(['NO', 'WORKER', 'STARTED', 'TOOK', 'OUTCOME', 'ERROR'], attempts.map(attemptCells));
  }
  const last = attempts.findLast((attempt) => attempt.tail);
  // Of a command that writes no result of its own, the end of its output is the result: once is enough.
  const same = last?.tail?.trim() === issue.result?.trim();
  if (issue.result !== null && !same) section('result', printable(issue.result));
  if (last?.tail)
    section(`end of the output of attempt ${last.attempt}${same ? ', the result' : ''}`, printable(last.tail));
}

function section(name: string, text: string): void {
  print(`\n${title(name)}\n${text.replace(/\n$/, '')}`);
}

/** Only what says something about this issue. Every text is made safe. */
function fieldsOf(issue: Issue): [string, string][] {
  const own = issue.max_attempts;
  const limit = own === 0 ? 'no limit' : `at most ${own}`;
  const fields: [string, string | number | Date | null][] = [
    ['worker', issue.assigned_worker_id],
    ['directed to', issue.target_worker_id],
    ['priority', issue.priority],
    ['added', issue.created_at],
    ['not before', issue.run_at],
    ['started', issue.started_at],
    ['ended', issue.completed_at],
    ['attempts', issue.attempt],
    ['failures', own === null || own < 0 ? issue.failures : `${issue.failures} (${limit})`],
    ['crashes', issue.crashes || null],
    ['snoozes', issue.snoozes || null],
    ['timeout', issue.timeout_seconds === null ? null : durationText(issue.timeout_seconds * 1000)],
    ['key', issue.key],
    // A completed issue may have failed before; its attempts tell. The attempt that runs has no error yet.
    [issue.status === 'started' ? 'earlier error' : 'error', issue.status === 'completed' ? null : issue.last_error],
  ];
  const known = fields.filter(([, value]) => value !== null);
  return [
    ['issue', String(issue.id)],
    ['status', statusText(issue.status)],
    ...known.map(([name, value]): [string, string] => [
      name,
      value instanceof Date ? timeText(value) : oneLine(String(value)),
    ]),
  ];
}

function attemptCells(attempt: Attempt): string[] {
  const end = attempt.ended_at ?? new Date();
  const code = attempt.exit_code === null ? '' : ` (exit ${attempt.exit_code})`;
  return [
    String(attempt.attempt),
    oneLine(attempt.worker_id),
    timeCell(attempt.started_at),
    durationText(Math.max(0, end.getTime() - attempt.started_at.getTime())),
    attempt.outcome === null ? 'running' : `${oneLine(attempt.outcome)}${code}`,
    firstLine(attempt.error ?? '', 80),
  ];
}

/** What the demo says at its end: every issue, whether all went as intended, and where to go from here. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { quote } from 'shlex';
import { firstLine } from '../core/text.js';
import { deviation, type Seen } from './demo-issues.js';
import { durationText, lineWidth, mark, printTable, statusText } from './output.js';

/** One issue at the end of the demo: a line of the table, and an element of what `--json` prints. */
export interface DemoResult {
  readonly id: number;
  readonly description: string;
  readonly status: string;
  readonly attempts: number;
  readonly worker: string | null;
  /** From the first start to the end, pauses included. */
  readonly duration_ms: number | null;
  /** The first line of the result, or of the error. */
  readonly result: string | null;
  readonly error: string | null;
  /** How it differs from what was intended; null where it does not. */
  readonly deviation: string | null;
}

export function resultsOf(all: readonly Seen[]): DemoResult[] {
  return all.map((seen) => {
    const { issue, attempts } = seen;
    const start = attempts[0]?.started_at.getTime();
    const end = issue.completed_at?.getTime();
    return {
      id: issue.id,
      description: issue.description,
      status: issue.status,
      attempts: attempts.length,
      worker: issue.assigned_worker_id,
      duration_ms: start === undefined || end === undefined ? null : end - start,
      result: issue.result === null ? null : firstLine(issue.result, 500),
      // A completed issue keeps the error of the attempt before.
      error: issue.status === 'completed' || issue.last_error === null ? null : firstLine(issue.last_error, 500),
      deviation: deviation(seen, all),
    };
  });
}

/** Columns besides the two of free text, with the spaces between them. */
const OTHER_COLUMNS = 49;
const LONGEST_TEXT = 32;
/** "issue-7 at 1a2b3c4": where the terminal is narrow the issue's text gives way to it. */
const SHORTEST_RESULT = 18;

export async function printResults(results: readonly DemoResult[]): Promise<void> {
  const rest = Math.max(SHORTEST_RESULT + 8, lineWidth() - OTHER_COLUMNS);
  const textWidth = Math.min(LONGEST_TEXT, rest - SHORTEST_RESULT);
  await printTable(
    ['', 'ID', 'ISSUE', 'STATUS', 'ATTEMPTS', 'WORKER', 'DURATION', 'RESULT OR ERROR'],
    results.map((one) => [
      mark(one.deviation === null),
      String(one.id),
      firstLine(one.description, textWidth),
      statusText(one.status),
      String(one.attempts),
      one.worker ?? '',
      one.duration_ms === null ? '' : durationText(one.duration_ms),
      firstLine(one.error ?? one.result ?? '', rest - textWidth),
    ]),
  );
}

/** Whether it all went as intended, and if not, what did not. */
export function verdictOf(results: readonly DemoResult[]): string[] {
  const wrong = results.flatMap((one) => one.deviation ?? []);
  if (wrong.length === 0) return [`All ${results.length} issues ended as intended.`];
  return [`${wrong.length} of ${results.length} issues did not end as intended:`, ...wrong.map((line) => `  ${line}`)];
}

/** Where the work is, where the logs are, how to be rid of both, and how to run the real thing. */
export function hintsFor({ path, repository, logDir }: { path: string; repository: string; logDir: string }): string[] {
  const at = quote(repository);
  const look = existsSync(join(repository, '.git'))
    ? [`  git -C ${at} log --all --oneline`, `  git -C ${at} show issue-1`]
    : [`  ls ${quote(join(repository, 'plans'))}    (git is not installed: the plans are plain files)`];
  return [
    'What the example command has done:',
    ...look,
    'The log of the worker, and in "issues" the output of every attempt:',
    `  ${logDir}`,
    'All of it is kept until you remove it:',
    `  rm -rf ${quote(path)}`,
    '',
    'The real thing, with a database that stays:',
    "  npx cape-worker --worker-id alleycat-1 --command 'echo {description}'",
    '  npx cape-worker issues add "Fix the login bug"    (from another terminal)',
    'Without --command it runs cape-adw for each issue. Without DATABASE_URL both use an embedded Postgres of yours.',
  ];
}

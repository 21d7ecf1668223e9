/** `issues add`: queues one issue and prints its id and nothing else on standard output, so that scripts can use it. */
import { readFile } from 'node:fs/promises';
import type { CapeClient, NewIssue } from '../client.js';
import { CapeError, EXIT, messageOf } from '../core/errors.js';
import { firstLine, printable, safeJson } from '../core/text.js';
import { duration } from '../core/values.js';
import { checkNewIssue } from '../queue/new-issue.js';
import { command, flag, value } from './command.js';
import { CLIENT_OPTIONS, toStderr, withClient } from './database.js';
import { print } from './output.js';
import { sayIfUnseen } from './unseen.js';
import { checked, numberOrText, quoted, whenOf } from './values.js';

interface AddFlags {
  readonly file?: string;
  readonly priority?: string;
  readonly worker?: string;
  readonly 'max-attempts'?: string;
  readonly timeout?: string;
  readonly 'run-at'?: string;
  readonly key?: string;
  readonly wait?: boolean;
  readonly json?: boolean;
}

export const add = command<AddFlags>({
  operands: '<text | ->',
  count: { min: 0, max: 1 },
  options: {
    file: value('Take the text from this file, as it is'),
    priority: value('Higher runs first, -32768 to 32767 [0]'),
    worker: value('Only this worker may run it'),
    'max-attempts': value("Failures before it ends failed, 0 = no limit [the worker's setting]"),
    timeout: value("A run that takes longer is ended: seconds, or 90s, 5m, 2h [the worker's setting]"),
    'run-at': value('Not before: 2026-03-01T14:30 (local time, or with Z or +01:00), or +10m from now'),
    key: value('While an issue with this key is unfinished, print its id instead of adding another'),
    wait: flag('Wait for its end and print the result; exit 0 if it completed, 1 if not'),
    json: flag('Print {"id":7}; with --wait the ended issue follows as a second line of JSON'),
    ...CLIENT_OPTIONS,
  },
  examples: [
    ['issues add "Fix the login bug"', 'queue it and print its id'],
    ['issues add --file issue.md --priority 5', 'the text from a file, before others'],
    ['git log -1 --format=%B | cape-worker issues add -', 'the text from standard input'],
    ['issues add --run-at +10m --key nightly "Update the docs"', 'in ten minutes, and only once'],
    ['issues add --wait "Fix the login bug"', 'wait for the result'],
    ['issues add -- "--help prints nothing"', 'a text that begins with a dash'],
  ],
  async run({ words, flags }) {
    const issue = toIssue(await textOf(words, flags.file), flags);
    return withClient(flags, async (client) => {
      const id = await client.add(issue);
      print(flags.json ? JSON.stringify({ id }) : String(id));
      await sayIfUnseen(client, issue.worker);
      if (flags.wait) await waitFor(client, id, flags.json === true);
      return EXIT.ok;
    });
  },
});

async function textOf(words: readonly string[], file: string | undefined): Promise<string> {
  const [word] = words;
  if (word !== undefined && file !== undefined) {
    throw new CapeError('usage', '--file: got a text as well; choose one of the two');
  }
  if (file !== undefined) {
    const bytes = await readFile(file).catch((error) => {
      throw new CapeError('usage', `--file: got ${quoted(file)}; can't be read: ${messageOf(error)}`);
    });
    return decode(bytes, '--file');
  }
  if (word === undefined)
    throw new CapeError('usage', 'text: got nothing; give it in quotes, by --file, or - for stdin');
  return word === '-' ? decode(await readStdin(), 'standard input') : word;
}

async function readStdin(): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

function decode(bytes: Buffer, where: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new CapeError('usage', `${where}: got bytes that are not UTF-8; convert the text first`);
  }
}

const FIELDS: Readonly<Record<string, string>> = {
  description: 'text',
  priority: '--priority',
  worker: '--worker',
  maxAttempts: '--max-attempts',
  timeoutSeconds: '--timeout',
  runAt: '--run-at',
  delayMs: '--run-at',
  key: '--key',
};

function toIssue(description: string, flags: AddFlags): NewIssue {
  const timeoutMs =
    flags.timeout === undefined ? undefined : checked('--timeout', duration({ min: 1000 }), flags.timeout);
  const issue = {
    description,
    priority: numberOrText(flags.priority),
    worker: flags.worker,
    maxAttempts: numberOrText(flags['max-attempts']),
    timeoutSeconds: timeoutMs === undefined ? undefined : Math.ceil(timeoutMs / 1000),
    ...(flags['run-at'] === undefined ? {} : whenOf('--run-at', flags['run-at'])),
    key: flags.key,
  };
  return checkNewIssue(issue, (field) => FIELDS[field] ?? field);
}

/** Follows an issue to its end. Ctrl-C ends the waiting, not the issue. */
async function waitFor(client: CapeClient, id: number, json: boolean): Promise<void> {
  const patience = new AbortController();
  const giveUp = () => patience.abort(new CapeError('refused', `issue ${id}: no longer waited for; it goes on`));
  // Not `once`: the terminal and npm both deliver a Ctrl-C, and the second would end the program before it has said so.
  process.on('SIGINT', giveUp).on('SIGTERM', giveUp);
  const issue = await client
    .wait(id, {
      signal: patience.signal,
      onTrouble: (message) => toStderr(`cape-worker: the database is away (${firstLine(message, 200)}); still waiting`),
    })
    .finally(() => process.off('SIGINT', giveUp).off('SIGTERM', giveUp));
  if (json) print(safeJson(issue));
  if (issue.status !== 'completed') {
    const why = issue.last_error === null ? '' : `: ${firstLine(issue.last_error, 500)}`;
    throw new CapeError('refused', `issue ${id}: ${issue.status}${why}`);
  }
  if (issue.result !== null && !json) print(printable(issue.result).replace(/\n$/, ''));
}

/** `issues logs`: the output of an attempt, from its file where that is on this host, else what the database keeps. */
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { CapeClient } from '../client.js';
import { CapeError, EXIT } from '../core/errors.js';
import { type Attempt, isFinal } from '../core/issue.js';
import { printable } from '../core/text.js';
import { whole } from '../core/values.js';
import { command, flag, value } from './command.js';
import { CLIENT_OPTIONS, toStderr, withClient } from './database.js';
import { LogPrinter } from './log-printer.js';
import type { FollowOutput, ReadOutput } from './remote.js';
import { checked, idsOf } from './values.js';

interface LogFlags {
  readonly follow?: boolean;
  readonly attempt?: string;
  readonly raw?: boolean;
}

export const logs = command<LogFlags>({
  operands: '<id>',
  count: { min: 1, max: 1 },
  options: {
    follow: { ...flag('Go on until the attempt has ended'), alias: 'f' },
    attempt: value('Which attempt [the latest]'),
    raw: flag('Byte for byte also on a terminal, colours and other control sequences included'),
    ...CLIENT_OPTIONS,
  },
  examples: [
    ['issues logs 7', 'the output of the latest attempt'],
    ['issues logs 7 --follow', 'as it is written'],
    ['issues logs 7 --attempt 1', 'of the first attempt'],
  ],
  async run({ words, flags }) {
    const [id] = idsOf(words) as [number];
    const number = flags.attempt === undefined ? undefined : checked('--attempt', whole(1, 2 ** 31 - 1), flags.attempt);
    return withClient(flags, async (client, database) => {
      const attempt = await find(client, id, number, flags.follow === true);
      // A pipe gets the bytes: what reads it may want to know what the command wrote.
      const raw = flags.raw === true || !process.stdout.isTTY;
      const printer = new LogPrinter(process.stdout, raw, (line) => toStderr(`cape-worker: ${line}`));
      if (await printFile(client, attempt, printer, flags.follow === true)) return EXIT.ok;
      if (!('api' in database)) sayTail(attempt, raw);
      else if (flags.follow === true && attempt.ended_at === null) await followRemote(database.follow, attempt, raw);
      else await printRemote(database.output, attempt, raw);
      return EXIT.ok;
    });
  },
});

const LOOK_MS = 250;

/** The attempt that is asked for; following waits for the first one of a pending issue. */
async function find(client: CapeClient, id: number, number: number | undefined, follow: boolean): Promise<Attempt> {
  for (;;) {
    const issue = await client.get(id);
    const attempts = await client.attempts(id);
    const attempt = attempts.findLast((one) => number === undefined || one.attempt === number);
    if (attempt) return attempt;
    if (number !== undefined) throw new CapeError('refused', `issue ${id}: has no attempt ${number}${known(attempts)}`);
    if (!follow || isFinal(issue.status))
      throw new CapeError('refused', `issue ${id}: has not been started, no output`);
    await sleep(LOOK_MS);
  }
}

function known(attempts: readonly Attempt[]): string {
  return attempts.length === 0 ? '' : `; it has ${attempts.map(({ attempt }) => attempt).join(', ')}`;
}

/** @returns false where the file is not on this host */
async function printFile(client: CapeClient, attempt: Attempt, printer: LogPrinter, follow: boolean): Promise<boolean> {
  const { issue_id, attempt: number, log_path: path, log_host: host } = attempt;
  if (path === null || host !== hostname()) return false;
  let running = attempt.ended_at === null;
  let found = await printer.print(path);
  while (follow && running) {
    await sleep(LOOK_MS);
    // Asked before reading: what was written before the end is then read after it.
    const latest = (await client.attempts(issue_id)).find((one) => one.attempt === number);
    running = latest?.ended_at === null;
    found = (await printer.print(path)) || found;
  }
  printer.end();
  return found || attempt.ended_at === null;
}

/** What the server has of it: its file, or the events. */
async function printRemote(read: ReadOutput, attempt: Attempt, raw: boolean): Promise<void> {
  const { text, from, skipped } = await read(attempt.issue_id, attempt.attempt);
  if (from === 'tail') return sayTail(attempt, raw);
  process.stdout.write(raw ? text : printable(text));
  if (skipped > 0) toStderr(`cape-worker: ${skipped} bytes of it were dropped (--output-limit)`);
}

/** The stream comes from the events: what they leave out is said, and lies in the file. */
async function followRemote(follow: FollowOutput, { issue_id, attempt }: Attempt, raw: boolean): Promise<void> {
  for await (const { text, skipped } of follow(issue_id, attempt)) {
    if (skipped > 0) toStderr(`cape-worker: ${skipped} bytes are left out here`);
    process.stdout.write(raw ? text : printable(text));
  }
}

function sayTail({ issue_id, attempt, tail, log_path, log_host }: Attempt, raw: boolean): void {
  if (tail === '') {
    // One that ended at once has no file then, either.
    toStderr(`cape-worker: issue ${issue_id}, attempt ${attempt}: it printed nothing`);
    return;
  }
  if (tail) process.stdout.write(raw ? tail : printable(tail));
  if (tail && !tail.endsWith('\n')) process.stdout.write('\n');
  const shown = tail ? 'this is the end of the output' : 'no output is kept here';
  const place = log_path === null ? 'it had no log file' : `the file is ${log_path} on host ${log_host ?? 'unknown'}`;
  toStderr(`cape-worker: issue ${issue_id}, attempt ${attempt}: ${shown}; ${place}`);
}

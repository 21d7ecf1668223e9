/** What is told of an attempt's files, wherever they are cut and whatever becomes of them. */
import { mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Claim } from '../../src/core/issue.js';
import { SEGMENT } from '../../src/execution/tail.js';
import { attemptFiles } from '../../src/worker/attempt-files.js';
import { AttemptOutput } from '../../src/worker/attempt-output.js';
import { EventsFile } from '../../src/worker/events-file.js';
import { until } from '../support/until.js';
import { tempFolder } from '../support/worker.js';

const claim = { issue: { id: 1 }, attempt: 1, token: 't' } as unknown as Claim;

interface Output {
  readonly offset: number;
  readonly text: string;
  readonly skipped?: number;
}

function started() {
  const files = attemptFiles(tempFolder(), 1, 1);
  mkdirSync(files.dir, { recursive: true });
  return files;
}

/** All that it tells at once, at most so many bytes a draft. */
async function tell(output: AttemptOutput, most = 1024 * 1024): Promise<Output[]> {
  const told: Output[] = [];
  for (let drafts = 0; output.pending && drafts < 20; drafts++) {
    const draft = await output.draft(most);
    told.push(...draft.told.map(({ data }) => data as Output));
    draft.done(draft.told.length > 0 ? told.length : null);
  }
  return told;
}

test.each([1, 2, 3])('a character that a file ends in after %i of its bytes is told whole', async (cut) => {
  const files = started();
  const bytes = Buffer.from(`before 🚀 after`);
  writeFileSync(files.log, bytes.subarray(0, 7 + cut));
  writeFileSync(`${files.log}${SEGMENT}${7 + cut}`, bytes.subarray(7 + cut));
  const output = new AttemptOutput(claim, files, 1024);
  output.grown(bytes.length);
  const told = await tell(output);
  expect(told.map(({ text }) => text).join('')).toBe('before 🚀 after');
  await output.close();
});

test('a character whose end is lost is told broken, and what follows too', async () => {
  const files = started();
  const bytes = Buffer.from(`before 🚀 after`);
  writeFileSync(files.log, bytes.subarray(0, 9));
  writeFileSync(`${files.log}${SEGMENT}12`, bytes.subarray(12));
  const output = new AttemptOutput(claim, files, 1024);
  output.grown(bytes.length);
  const told = await tell(output);
  expect(told.map(({ text }) => text)).toEqual(['before ', '\ufffd', 'after']);
  expect(told[2]).toMatchObject({ offset: 12, skipped: 3 });
  await output.close();
});

test('a character that is not all printed yet is waited for', async () => {
  const files = started();
  const bytes = Buffer.from('a🚀');
  writeFileSync(files.log, bytes.subarray(0, 3));
  const output = new AttemptOutput(claim, files, 1024);
  output.grown(3);
  expect((await tell(output)).map(({ text }) => text)).toEqual(['a']);
  writeFileSync(files.log, bytes);
  output.grown(bytes.length);
  expect((await tell(output)).map(({ text }) => text)).toEqual(['🚀']);
  await output.close();
});

test('nothing is told twice where the end is read in small turns', async () => {
  const files = started();
  const all = 'x'.repeat(250 * 1024);
  writeFileSync(files.log, all);
  const output = new AttemptOutput(claim, files, 1024);
  output.grown(200 * 1024);
  const last = (await tell(output)).at(-1)!;
  let end = last.offset + last.text.length;
  expect(end).toBeGreaterThan(all.length - 128 * 1024);
  output.grown(all.length);
  output.end('x');
  for (const { offset, text, skipped } of await tell(output, 40 * 1024)) {
    expect(offset - end).toBe(skipped ?? 0);
    end = offset + text.length;
  }
  expect(end).toBe(all.length);
  await output.close();
});

test('an events file that became shorter, or of which not all was held, is not waited for', async () => {
  const path = join(tempFolder(), 'events');
  writeFileSync(path, '{"type":"log","message":"one"}\n{"type":"log","message":"two"}\n');
  const shorter = new EventsFile(path);
  shorter.look(() => {});
  await until(() => shorter.grown, { what: 'the look' });
  truncateSync(path, 20);
  expect(shorter.read().events).toEqual([]);
  expect(shorter.grown).toBe(false);

  writeFileSync(path, '{"type":"log","message":"again"}\n'.repeat(10_000));
  const spare = new EventsFile(path);
  spare.lookLast();
  spare.hold();
  let lines = 0;
  for (let turns = 0; spare.grown && turns < 10; turns++) {
    const read = spare.read(true);
    lines += read.events.length;
    spare.done(read);
  }
  expect(spare.grown).toBe(false);
  expect(lines).toBeGreaterThan(3000);
  expect(readFileSync(path).length).toBeGreaterThan(128 * 1024);
});

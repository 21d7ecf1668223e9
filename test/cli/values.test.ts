/** Words of the command line as values, and values as words. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { LogPrinter } from '../../src/cli/log-printer.js';
import { durationText } from '../../src/cli/output.js';
import { idsOf, whenOf } from '../../src/cli/values.js';

const zone = process.env.TZ;

beforeAll(() => {
  // In UTC, where machines of tests tend to live, local time and a day's midnight could not be told from theirs.
  process.env.TZ = 'America/New_York';
});

afterAll(() => {
  if (zone === undefined) delete process.env.TZ;
  else process.env.TZ = zone;
});

test('a time is local unless it names a zone, and a day alone is its local midnight', () => {
  const at = (text: string) => (whenOf('--run-at', text) as { runAt: Date }).runAt;
  expect(at('2026-03-01T14:30')).toEqual(new Date(2026, 2, 1, 14, 30));
  expect(at('2026-03-01 14:30:15.5')).toEqual(new Date(2026, 2, 1, 14, 30, 15, 500));
  expect(at('2026-03-01')).toEqual(new Date(2026, 2, 1));
  expect(at('2026-03-01T14:30Z')).toEqual(new Date(Date.UTC(2026, 2, 1, 14, 30)));
  expect(at('2026-03-01T14:30+02:00')).toEqual(new Date(Date.UTC(2026, 2, 1, 12, 30)));
  expect(at('2026-03-01').toISOString()).toBe('2026-03-01T05:00:00.000Z');
  expect(at('2028-02-29')).toEqual(new Date(2028, 1, 29));
});

test('a plus sign is a delay', () => {
  expect(whenOf('--run-at', '+10m')).toEqual({ delayMs: 600_000 });
  expect(whenOf('--run-at', '+90')).toEqual({ delayMs: 90_000 });
});

test.each(['tomorrow', '2026-02-29', '2026-13-01', '2026-03-01T25:00', '10m', '', '1e3', '2026-03-01T14'])(
  'the time "%s" is refused',
  (text) => {
    expect(() => whenOf('--run-at', text)).toThrow(`--run-at: got "${text}"; must be a date such as`);
  },
);

test.each(['0', '-1', '1.5', '2147483648', '1e3', 'x', ''])('the id "%s" is refused', (word) => {
  expect(() => idsOf(['1', word])).toThrow(`issue id: got "${word}"; must be a whole number from 1 to 2147483647`);
});

test('a duration is told in two units at most', () => {
  expect([0, 12, 4230, 59_999, 125_000, 3_780_000, 90_000_000].map(durationText)).toEqual([
    '0 ms',
    '12 ms',
    '4.2 s',
    '59.9 s',
    '2m 05s',
    '1h 03m',
    '1d 01h',
  ]);
});

test('on a terminal the output of a command can steer nothing, and no character is torn', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'cape log printer '));
  const path = join(folder, '1.log');
  const written: string[] = [];
  const out = new PassThrough().on('data', (chunk) => written.push(String(chunk)));
  const terminal = Object.assign(out, { isTTY: true }) as unknown as NodeJS.WriteStream;
  const printer = new LogPrinter(terminal, false, () => {});
  const [head, rest] = [Buffer.from('\u001b]0;owned\u0007 ü').subarray(0, -1), Buffer.from('ü').subarray(1)];
  writeFileSync(path, head);
  await printer.print(path);
  writeFileSync(path, Buffer.concat([head, rest, Buffer.from('\n')]));
  await printer.print(path);
  printer.end();
  expect(written.join('')).toBe('\\u001b]0;owned\\u0007 ü\n');
  rmSync(folder, { recursive: true });
});

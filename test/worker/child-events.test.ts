import { describe, expect, test } from 'vitest';
import { wholeCharacters } from '../../src/execution/output-reader.js';
import { eventOfJson, eventOfMark, marksIn, marksInBytes, type OpenLine } from '../../src/worker/child-events.js';

describe('a mark', () => {
  test.each([
    ['::cape progress 40 building', { percent: 40, message: 'building' }],
    ['::cape progress 40%', { percent: 40, message: null }],
    ['::cape progress 99.5  two  words \r', { percent: 99.5, message: 'two  words' }],
    ['::cape progress 1000 much', { percent: 100, message: 'much' }],
    ['::cape progress - waiting', { percent: null, message: 'waiting' }],
  ])('%s', (line, data) => {
    expect(eventOfMark(line)).toEqual({ kind: 'progress', data });
  });

  test.each(['', 'text', ' ::cape progress 4', '::capeprogress 4', '::cape'])('is not: "%s"', (line) => {
    expect(eventOfMark(line)).toBeNull();
  });

  const inBytes = (text: string, open: OpenLine) => marksInBytes(Buffer.from(text), open);

  test.each([
    ['a text', marksIn],
    ['bytes', inBytes],
  ])('is found in %s however the output is cut', (_, marks) => {
    const output = 'one\n::cape progress 1 a\ntwo ::cape progress 2 b\n::cape progress 3 c\n::cape progress 4 no end';
    for (let size = 1; size < output.length; size++) {
      let open: OpenLine = '';
      const found: unknown[] = [];
      for (let at = 0; at < output.length; at += size) {
        const piece = marks(output.slice(at, at + size), open);
        open = piece.open;
        found.push(...piece.events.map(({ data }) => (data as { percent: number }).percent));
      }
      expect(found, `pieces of ${size}`).toEqual([1, 3]);
    }
  });

  test.each([marksIn, inBytes])('without an end is not kept for ever', (marks) => {
    expect(marks(`::cape ${'x'.repeat(2000)}`, '').open).toBeNull();
    expect(marks('text', '').open).toBeNull();
  });

  test.each(['', ':', '::ca', '::cape', '::cape ', 'text', ':: cape', '🚀'])('may begin with "%s", or not', (end) => {
    for (const before of ['', 'a line\n', 'two\nlines\n', 'part of '])
      for (const open of ['', '::', null] satisfies OpenLine[])
        expect(inBytes(before + end, open), `${before}, ${open}`).toEqual(marksIn(before + end, open));
  });
});

test('metadata and messages have their limits', () => {
  expect(eventOfJson(JSON.stringify({ type: 'log', message: 'x'.repeat(9000) }))).toMatchObject({
    data: { level: 'info', message: 'x'.repeat(4096) },
  });
  expect(eventOfJson(JSON.stringify({ type: 'metadata', text: 'x'.repeat(70_000) }))).toMatchObject({ kind: 'log' });
});

test.each([
  ['result', 'result'],
  ['log', 'message'],
  ['progress', 'message'],
  ['progress', 'percent'],
  ['metadata', 'data'],
])('a %s whose %s is nested thousands of levels deep is a warning', (type, key) => {
  const nested = `{"type":"${type}","${key}":${'['.repeat(5000)}${']'.repeat(5000)}}`;
  expect(eventOfJson(nested)).toMatchObject({ kind: 'log', data: { level: 'warn' } });
  expect(eventOfJson(`{"type":"${type}","${key}":${'['.repeat(5)}${']'.repeat(5)}}`)).not.toMatchObject({
    data: { message: expect.stringContaining('nested') },
  });
});

test('a piece ends where a character ends', () => {
  const bytes = Buffer.from('aü€🚀');
  const ends = Array.from({ length: bytes.length + 1 }, (_, size) => wholeCharacters(bytes.subarray(0, size)));
  expect(ends).toEqual([0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10]);
  // Broken text is no reason to wait for more of it.
  expect(wholeCharacters(Buffer.from([0x80, 0x80, 0x80, 0x80]))).toBe(4);
  expect(wholeCharacters(Buffer.from([0xff, 0x41]))).toBe(2);
});

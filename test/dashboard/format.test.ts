import { describe, expect, test } from 'vitest';
import { durationMarks, marks, timeMarks } from '../../src/dashboard/chart/scale.js';
import { ago, bytes, duration, elapsed, firstLine, plural, share, short } from '../../src/dashboard/text/format.js';

describe('times in words', () => {
  test.each([
    [-5, '0 ms'],
    [320, '320 ms'],
    [4230, '4.2 s'],
    [9999, '9.9 s'],
    [59_999, '59 s'],
    [60_000, '1 m'],
    [200_000, '3 m 20 s'],
    [3_599_999, '59 m 59 s'],
    [7_500_000, '2 h 5 m'],
    [273_600_000, '3 d 4 h'],
  ])('%i ms take %s', (ms, text) => expect(duration(ms)).toBe(text));

  test('what ticks does so by the second', () => {
    expect([950, 1400, 65_000].map(elapsed)).toEqual(['0 s', '1 s', '1 m 5 s']);
  });

  test.each([
    [0, 'now'],
    [-1500, 'now'],
    [12_400, '12 s ago'],
    [3_540_000, '59 m ago'],
    [172_800_000, '2 d ago'],
    [-300_000, 'in 5 m'],
  ])('%i ms from then is %s', (ms, text) => expect(ago(ms)).toBe(text));
});

describe('numbers in words', () => {
  test('are short where there is little room', () => {
    expect([0, 9999, 10_000, 123_456, 999_600, 12_345_678].map(short)).toEqual([
      ...['0', '9,999', '10.0k', '123k', '1.0M', '12.3M'],
    ]);
    expect([100, 12_600, 4_718_592].map(bytes)).toEqual(['100 B', '12.3 KiB', '4.5 MiB']);
    expect([share(0, 0), share(1, 250), share(12, 100), share(100, 100)]).toEqual(['0 %', '0.4 %', '12 %', '100 %']);
    expect([plural(1, 'issue'), plural(2000, 'issue')]).toEqual(['1 issue', '2,000 issues']);
  });

  test('the first line of a text is one that says something', () => {
    expect(firstLine('\n  \n  Fix it  \nmore')).toBe('Fix it');
    expect(firstLine('')).toBe('');
  });
});

describe('the marks of an axis', () => {
  test('are at numbers that people like, and reach the highest', () => {
    expect(marks(7, true)).toEqual([0, 2, 4, 6, 8]);
    expect(marks(0, true)).toEqual([0, 1]);
    expect(marks(3, true)).toEqual([0, 1, 2, 3]);
    expect(marks(130)).toEqual([0, 50, 100, 150]);
    for (const most of [1, 9, 11, 99, 12_345]) {
      expect(marks(most, true).at(-1)).toBeGreaterThanOrEqual(most);
      expect(marks(most, true).length).toBeLessThanOrEqual(6);
    }
  });

  test('of durations are round in their unit', () => {
    expect(durationMarks(90_000)).toEqual([0, 30_000, 60_000, 90_000]);
    expect(durationMarks(4500)).toEqual([0, 2000, 4000, 6000]);
  });

  test('of time are round by the clock of the reader, also where its hours are not full ones', () => {
    const noon = Date.UTC(2026, 0, 1, 12, 3);
    const found = timeMarks(noon, noon + 3_600_000, 7, -330);
    expect(found).toHaveLength(6);
    for (const at of found) expect((at + 330 * 60_000) % 600_000).toBe(0);
  });
});

/** Texts by the width that a terminal gives them. */
import { describe, expect, test } from 'vitest';
import { cut, padded, widthOf, withoutTabs, wrapped } from '../../src/cli/top-cells.js';

describe('a text is cut to columns, not to characters', () => {
  test.each([
    ['plain', 10, 'plain'],
    ['plain text', 6, 'plain…'],
    ['日本語の課題', 12, '日本語の課題'],
    ['日本語の課題', 7, '日本語…'],
    // The half of a wide character is not shown: one column stays empty.
    ['日本語の課題', 6, '日本…'],
    ['e\u0301e\u0301e\u0301', 2, 'e\u0301…'],
    ['anything', 1, '…'],
    ['anything', 0, ''],
    ['', 5, ''],
  ])('%j in %i columns', (text, width, expected) => {
    expect(cut(text, width)).toBe(expected);
    expect(widthOf(padded(text, width))).toBe(width);
  });

  test('a line of megabytes is cut at once', () => {
    const begun = performance.now();
    expect(cut('日'.repeat(5_000_000), 5)).toBe('日日…');
    expect(performance.now() - begun).toBeLessThan(5_000);
  });
});

describe('a line is wrapped', () => {
  test.each([
    ['', 5, ['']],
    ['12345', 5, ['12345']],
    ['1234567', 5, ['12345', '67']],
    ['日本語', 4, ['日本', '語']],
    ['日本', 1, ['日', '本']],
  ])('%j at %i columns', (line, width, rows) => {
    expect(wrapped(line, width)).toEqual(rows);
  });

  test('tabs reach to the next stop', () => {
    expect(withoutTabs('a\tb\tc')).toBe('a       b       c');
    expect(withoutTabs('12345678\tx')).toBe('12345678        x');
    expect(withoutTabs('none')).toBe('none');
  });
});

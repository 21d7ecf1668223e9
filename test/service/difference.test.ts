import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { difference } from '../../src/service/difference.js';

function shown(before: string, after: string): string[] {
  return difference(before, after).map(({ sign, text }) => `${sign}${text}`);
}

describe('what changes between two texts', () => {
  test('is nothing between equal ones', () => {
    expect(shown('a\nb\n', 'a\nb\n')).toEqual([]);
  });

  test('is a line in the place of another, with two around it', () => {
    expect(shown('1\n2\n3\n4\n5\n6\n7\n', '1\n2\n3\nfour\n5\n6\n7\n')).toEqual([' 2', ' 3', '-4', '+four', ' 5', ' 6']);
  });

  test('is a line more, or one less', () => {
    expect(shown('a\nc\n', 'a\nb\nc\n')).toEqual([' a', '+b', ' c']);
    expect(shown('a\nb\n', 'a\n')).toEqual([' a', '-b']);
    expect(shown('', 'a\n')).toEqual(['+a']);
  });

  test('leads from the one to the other, for any two', () => {
    const text = fc.array(fc.constantFrom('a', 'b', 'c', ''), { maxLength: 12 }).map((lines) => lines.join('\n'));
    const count = (lines: string[]) => {
      const counts = new Map<string, number>();
      for (const line of lines) counts.set(line, (counts.get(line) ?? 0) + 1);
      return counts;
    };
    const lines = (all: string) => (all === '' ? [] : all.replace(/\n$/, '').split('\n'));
    fc.assert(
      fc.property(text, text, (before, after) => {
        const changes = difference(before, after);
        const balance = count(lines(before));
        for (const { sign, text: line } of changes) {
          if (sign !== ' ') balance.set(line, (balance.get(line) ?? 0) + (sign === '+' ? 1 : -1));
        }
        const left = new Map([...balance].filter(([, number]) => number !== 0));
        expect(left).toEqual(count(lines(after)));
      }),
    );
  });
});

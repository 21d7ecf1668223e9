import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { firstLine, oneLine, printable } from '../../src/core/text.js';

const control = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/;

describe('text from outside', () => {
  test('never leaves oneLine with a line break, an escape sequence or a turned direction', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(oneLine(text)).not.toMatch(control);
        expect(oneLine(text)).not.toMatch(/[\n\t]/);
      }),
      { numRuns: 10_000 },
    );
  });

  test('keeps its lines in printable, and nothing else that moves a cursor', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(printable(text)).not.toMatch(control);
      }),
      { numRuns: 10_000 },
    );
    expect(printable('a\r\nb\tc\u001b[2Jd')).toBe('a\nb\tc\\u001b[2Jd');
  });

  test('that is harmless is left as it is', () => {
    expect(oneLine('Größe 🚀 "quoted" \\ done')).toBe('Größe 🚀 "quoted" \\ done');
  });

  test('is cut to its first line that says something, by whole characters', () => {
    expect(firstLine('\n  \n  first\nsecond', 20)).toBe('first');
    expect(firstLine('🚀🚀🚀🚀', 3)).toBe('🚀🚀…');
    expect(firstLine('', 3)).toBe('');
  });
});

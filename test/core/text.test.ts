import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { firstLine, oneLine, printable, safeJson } from '../../src/core/text.js';

const control = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/;
/** What is not shown, but for the joiners of letters and emoji and the choice between text and emoji. */
const hidden = /[\u00ad\u061c\u180e\u200b\u200e\u200f\u2060-\u206f\ufeff\u{e0000}-\u{e0fff}\ud800-\udfff]/u;
/** Any text, with more of what is rare in it. */
const texts = () =>
  fc.string({
    unit: fc.oneof(
      fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
      fc.constantFrom(
        '\r\n',
        '\u001b[',
        '\u009b',
        '\u2028',
        '\u0085',
        '\u202e',
        '\u200b',
        '\u{e0041}',
        '\ud83d',
        '\n',
        '"',
      ),
    ),
  });

describe('text from outside', () => {
  test('never leaves oneLine with a line break, an escape sequence or a turned direction', () => {
    fc.assert(
      fc.property(texts(), (text) => {
        expect(oneLine(text)).not.toMatch(control);
        expect(oneLine(text)).not.toMatch(hidden);
        expect(oneLine(text)).not.toMatch(/[\n\t]/);
      }),
      { numRuns: 10_000 },
    );
  });

  test('keeps its lines in printable, and nothing else that moves a cursor', () => {
    fc.assert(
      fc.property(texts(), (text) => {
        expect(printable(text)).not.toMatch(control);
        expect(printable(text)).not.toMatch(hidden);
      }),
      { numRuns: 10_000 },
    );
    expect(printable('a\r\nb\tc\u001b[2Jd')).toBe('a\nb\tc\\u001b[2Jd');
  });

  test('says the same as JSON when it is made safe', () => {
    fc.assert(
      fc.property(texts(), (text) => {
        const json = safeJson({ text, nested: [text] }, 2);
        expect(json).not.toMatch(control);
        expect(json).not.toMatch(hidden);
        expect(JSON.parse(json)).toEqual({ text, nested: [text] });
      }),
      { numRuns: 10_000 },
    );
  });

  test('shows what is hidden', () => {
    expect(oneLine('a\u200bb\u{e0041}\ud83d')).toBe('a\\u200bb\\u{e0041}\\ud83d');
  });

  test('that is harmless is left as it is', () => {
    expect(oneLine('Größe 🚀 "quoted" \\ done')).toBe('Größe 🚀 "quoted" \\ done');
    for (const text of ['👩\u200d💻 ❤\ufe0f', 'می\u200cخواهم', '日本語 ไทย हिन्दी']) expect(oneLine(text)).toBe(text);
  });

  test('is cut to its first line that says something, by whole characters', () => {
    expect(firstLine('\n  \n  first\nsecond', 20)).toBe('first');
    expect(firstLine('🚀🚀🚀🚀', 3)).toBe('🚀🚀…');
    expect(firstLine('', 3)).toBe('');
  });
});

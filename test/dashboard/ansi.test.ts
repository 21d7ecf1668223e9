import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PLAIN, piecesOf, plainText, styleAfter } from '../../src/dashboard/text/ansi.js';

const red = '\x1b[31m';
const reset = '\x1b[0m';

describe('colours of a terminal', () => {
  test('become classes of the pieces that they hold for', () => {
    expect(piecesOf(`plain ${red}red \x1b[1mbold red${reset} plain`, PLAIN)).toEqual([
      { text: 'plain ', className: '' },
      { text: 'red ', className: 'fg-1' },
      { text: 'bold red', className: 'fg-1 bold' },
      { text: ' plain', className: '' },
    ]);
  });

  test('of a sequence of megabytes take no time', () => {
    const line = `\x1b[${'38;5;'.repeat(400_000)}m`;
    const before = performance.now();
    expect(styleAfter(`${line}text${reset}`, PLAIN)).toBe(PLAIN);
    expect(piecesOf(`${line}${reset}text`, PLAIN)).toEqual([{ text: 'text', className: '' }]);
    // Measured: 30 ms; with all of its codes, minutes.
    expect(performance.now() - before).toBeLessThan(5000);
  });

  test('go on in the next line until they are reset', () => {
    const style = styleAfter(`${red}an error`, PLAIN);
    expect(piecesOf('its second line', style)).toEqual([{ text: 'its second line', className: 'fg-1' }]);
    expect(styleAfter(`end${reset}`, style)).toBe(PLAIN);
  });

  test.each([
    ['\x1b[m', ''],
    ['\x1b[91m', 'fg-9'],
    ['\x1b[44m', 'bg-4'],
    ['\x1b[103m', 'bg-11'],
    ['\x1b[38;5;9m', 'fg-9'],
    ['\x1b[38;5;196m', 'fg-9'],
    ['\x1b[38;5;240m', 'fg-8'],
    ['\x1b[38;2;20;200;30m', 'fg-2'],
    ['\x1b[48;2;0;0;255m', 'bg-12'],
    ['\x1b[38:5:4m', 'fg-4'],
    ['\x1b[1;38;5;1;4m', 'fg-1 bold underline'],
    ['\x1b[3;9m', 'italic strike'],
    ['\x1b[7m', 'inverse'],
    ['\x1b[31m\x1b[39m', ''],
    ['\x1b[1m\x1b[22m', ''],
    ['\x1b[38;5m', ''],
    ['\x1b[999m', ''],
  ])('%j is of class %j', (codes, className) => {
    expect(piecesOf(`${codes}x`, PLAIN)).toEqual([{ text: 'x', className }]);
  });
});

describe('what is no text', () => {
  test.each([
    ['a\x1b]0;a title\x07b', 'ab'],
    ['a\x1b]8;;https://example.com\x1b\\link\x1b]8;;\x1b\\b', 'alinkb'],
    ['a\x1b]52;c;bm90IHRoaXM=\x07b', 'ab'],
    ['a\x1bPq#0;2;0;0;0\x1b\\b', 'ab'],
    ['a\x1b[2J\x1b[1;1Hb', 'ab'],
    ['a\x1b[?25lb', 'ab'],
    ['a\x1bcb', 'ab'],
    ['a\x1b', 'a'],
    ['a\x1b[31', 'a'],
    ['a\x1b]0;never ended', 'a'],
    ['a\x9b31mb', 'ab'],
    ['a\x07\x08b', 'ab'],
    ['a\x00b\x1f', 'a␀b␟'],
    ['txt.\u202eexe', 'txt.exe'],
    ['tab\tstays', 'tab\tstays'],
  ])('%j is shown as %j', (line, shown) => {
    expect(plainText(line)).toBe(shown);
    expect(
      piecesOf(line, PLAIN)
        .map(({ text }) => text)
        .join(''),
    ).toBe(shown);
  });

  test('of a line that was written over, the last is shown, in its colour', () => {
    expect(piecesOf(`${red}10 %\r20 %\r30 %`, PLAIN)).toEqual([{ text: '30 %', className: 'fg-1' }]);
    expect(plainText('windows\r')).toBe('windows');
    expect(plainText('\r')).toBe('');
  });

  test('nothing but text comes out of anything, and the same by both ways', () => {
    const odd = fc.array(
      fc.constantFrom('\x1b', '[', ']', '3', '1', ';', 'm', '\x07', '\\', 'P', 'x', '<b>', '\r', '\x9b', ' ', 'ä'),
    );
    fc.assert(
      fc.property(odd, (parts) => {
        const line = parts.join('');
        const pieces = piecesOf(line, PLAIN);
        const text = pieces.map((piece) => piece.text).join('');
        expect(text).not.toMatch(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/);
        expect(text).toBe(plainText(line));
        for (const { className } of pieces) expect(className).toMatch(/^[a-z0-9 -]*$/);
      }),
      { numRuns: 2000 },
    );
  });

  test('a megabyte of escapes takes no time', () => {
    const line = '\x1b[31'.repeat(250_000);
    const begun = performance.now();
    piecesOf(line, PLAIN);
    plainText(`\x1b]${'x'.repeat(1_000_000)}`);
    expect(performance.now() - begun).toBeLessThan(2000);
  });
});

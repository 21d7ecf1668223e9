/** Any template and any issue, as people and programs may write them. */
import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CapeError } from '../../src/core/errors.js';
import { oneLine } from '../../src/core/text.js';
import { planArguments, resolveCommand, splitTemplate } from '../../src/execution/command.js';

const RUNS = 10_000;

/** What a template or a description may hold that something on its way might take for more than text. */
const MEANINGFUL = [
  ...[
    '{id}',
    '{description}',
    '{ID}',
    '{descriptoin}',
    '{{id}}',
    '$HOME',
    '{}',
    '{__proto__}',
    '{constructor}',
    '$&',
    '$1',
  ],
  ...[
    "'",
    '"',
    '\\',
    '\n',
    '\r',
    '\t',
    ' ',
    '--',
    '$(id)',
    '`id`',
    '*',
    '~',
    '#',
    ';',
    '|',
    '\u2028',
    '\ud800',
    '\u001b[2J',
  ],
];
const text = fc
  .array(fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom(...MEANINGFUL)), { maxLength: 10 })
  .map((parts) => parts.join(''));
const id = fc.integer({ min: 1, max: 2 ** 31 - 1 });

/** The words, or null where the template is refused; any other error than the one for people fails the test. */
function wordsOf(template: string): string[] | null {
  try {
    return splitTemplate(template);
  } catch (error) {
    expect(error).toBeInstanceOf(CapeError);
    const { kind, message } = error as CapeError;
    expect([kind, message]).toEqual(['config', oneLine(message)]);
    return null;
  }
}

describe('any template', () => {
  it('is split or refused in one printable line, and is found or refused the same way', () => {
    fc.assert(
      fc.property(text, (template) => {
        const words = wordsOf(template);
        if (words) expect(words[0]).not.toBe('');
        try {
          resolveCommand({ command: template, path: '/no/such/folder', cwd: '/' });
        } catch (error) {
          expect(error).toBeInstanceOf(CapeError);
          expect((error as CapeError).message).toBe(oneLine((error as CapeError).message));
        }
      }),
      { numRuns: RUNS },
    );
  });

  it.each(['a', '\\', "'", '"a', ' ', '\n'])(
    'takes no longer than it is long, of many %j and an open quote',
    (piece) => {
      const began = performance.now();
      wordsOf(`"${piece.repeat(100_000)}`);
      expect(performance.now() - began).toBeLessThan(10_000);
    },
  );

  it('gives each word back that was quoted for it', () => {
    const quoted = (word: string) => `'${word.replaceAll("'", `'\\''`)}'`;
    fc.assert(
      fc.property(fc.array(text, { maxLength: 5 }), (words) => {
        expect(wordsOf(['program', ...words.map(quoted)].join(' '))).toEqual(['program', ...words]);
      }),
      { numRuns: RUNS },
    );
  });

  it('means what a shell takes it for, where nothing is expanded', () => {
    const piece = fc.constantFrom('a', 'b{id}', 'é🦊', '-', '=', ' ', '  ', '\t', "'", '"', '\\', '\\\\', '""', "''");
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 14 }), (pieces) => {
        const template = `p ${pieces.join('')}`;
        const shell = spawnSync('/bin/sh', ['-c', `printf '%s\\0' ${template}`], { encoding: 'utf8' });
        const words = shell.status === 0 && shell.stderr === '' ? shell.stdout.split('\0').slice(0, -1) : null;
        // A backslash at the very end quotes nothing: shells keep it, and here it is refused as a slip.
        if (words?.at(-1)?.endsWith('\\') && wordsOf(template) === null) return;
        expect(wordsOf(template)).toEqual(words);
      }),
      { numRuns: 400 },
    );
  });
});

describe('any description, in any template', () => {
  it('changes the text of arguments, never their number, and arrives byte for byte', () => {
    fc.assert(
      fc.property(fc.array(text, { maxLength: 6 }), id, text, text, (words, number, description, other) => {
        const command = { file: '/bin/program', words, label: 'program' };
        const planned = planArguments(command, { id: number, description });
        if (!('file' in planned)) {
          expect(planned.kind).toBe('invalid');
          return;
        }
        const again = planArguments(command, { id: number, description: other.replaceAll('\0', '') });
        if ('file' in again) expect(again.args).toHaveLength(planned.args.length);
        // The templates hold placeholders and nothing that could be mistaken for one after another cut.
        const pieces = words.map((word) => word.split(/(\{id\}|\{description\})/));
        const filled = pieces.map((parts) =>
          parts.map((part) => (part === '{id}' ? `${number}` : part === '{description}' ? description : part)).join(''),
        );
        const none = pieces.every((parts) => parts.length === 1);
        expect(planned.args).toEqual(none ? [...words, `${number}`, description] : filled);
      }),
      { numRuns: RUNS },
    );
  });
});

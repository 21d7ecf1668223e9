import { parse } from 'dotenv';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CapeError } from '../../src/core/errors.js';
import { changeEnvText } from '../../src/service/env-text.js';

const FILE = `# The worker of this host.
DATABASE_URL='postgres://cape:old@db/cape'   # rotated in May

  export CAPE_COMMAND = "claude -p {description}"
CAPE_GRACE: 5
KEY="two
lines"
EMPTY=
# CAPE_LEASE=60
`;

describe('changing an env file', () => {
  test('touches the named line alone, and leaves its comment', () => {
    const text = changeEnvText(FILE, { DATABASE_URL: 'postgres://cape:n$w#1@db/cape' });
    expect(text).toBe(FILE.replace("'postgres://cape:old@db/cape'", "'postgres://cape:n$w#1@db/cape'"));
  });

  test.each([
    [
      'what is exported and spaced',
      'CAPE_COMMAND',
      '  export CAPE_COMMAND = "claude -p {description}"',
      "  export CAPE_COMMAND='a b'",
      'a b',
    ],
    ['what is written with a colon', 'CAPE_GRACE', 'CAPE_GRACE: 5', 'CAPE_GRACE=6', '6'],
    ['what is several lines long', 'KEY', 'KEY="two\nlines"', 'KEY=one', 'one'],
    ['what is empty', 'EMPTY', 'EMPTY=', 'EMPTY=full', 'full'],
    ['what becomes empty', 'CAPE_GRACE', 'CAPE_GRACE: 5', "CAPE_GRACE=''", ''],
  ])('%s', (_, name, before, after, value) => {
    expect(changeEnvText(FILE, { [name]: value })).toBe(FILE.replace(before, after));
  });

  test('adds what is not there at the end, also where a comment names it', () => {
    expect(changeEnvText(FILE, { CAPE_LEASE: '90' })).toBe(`${FILE}CAPE_LEASE=90\n`);
    expect(changeEnvText('A=1', { B: "it's" })).toBe(`A=1\nB="it's"\n`);
    expect(changeEnvText('A=1\r\n', { B: '2' })).toBe('A=1\r\nB=2\r\n');
    expect(changeEnvText('', { B: '2' })).toBe('B=2\n');
  });

  test('takes names out with their lines', () => {
    const text = changeEnvText(FILE, { KEY: null, DATABASE_URL: null, CAPE_GRACE: null, MISSING: null });
    expect(text).toBe(
      '# The worker of this host.\n\n  export CAPE_COMMAND = "claude -p {description}"\nEMPTY=\n# CAPE_LEASE=60\n',
    );
  });

  test('changes nothing where the value is there already, however it is written', () => {
    const same = {
      CAPE_COMMAND: 'claude -p {description}',
      KEY: 'two\nlines',
      CAPE_GRACE: '5',
      EMPTY: '',
      OTHER: null,
    };
    expect(changeEnvText(FILE, same)).toBe(FILE);
  });

  test('writes it so that no quote which is open before it ends there', () => {
    expect(changeEnvText("A='open\n", { B: "it's" })).toBe(`A='open\nB="it's"\n`);
    expect(changeEnvText("A='open\n", { B: 'x' })).toBe("A='open\nB=x\n");
    expect(changeEnvText("A='open\n", { B: ' x' })).toBe("A='open\nB=' x'\n");
  });

  test('leaves no older line of the same name, since it may hold a password', () => {
    expect(changeEnvText('A=old1\nB=2\nA=old2 # x\nA=old3\nC=3\n', { A: 'new' })).toBe('B=2\nA=new\nC=3\n');
  });

  test('a comment right behind the value stays a comment', () => {
    expect(changeEnvText('A="x"#why\nB=#why\n', { A: 'y', B: 'z' })).toBe('A=y #why\nB=z #why\n');
  });
});

describe('what can not be written is refused in one line without the value', () => {
  test.each<[string, string, string, RegExp]>([
    ['all three kinds of quotes', 'A', `# s3cret ' " \``, /^A: its value can't be written .*quotes of every kind/],
    ['NUL', 'A', 's3cret\0', /NUL/],
    ['half a character', 'A', 's3cret\ud800', /half of a character/],
    ['no name', 'A B', 's3cret', /^A B: is no name/],
    ['a name that is no key', '__proto__', 's3cret', /can't be changed/],
  ])('%s', (_, name, value, message) => {
    const change = () => changeEnvText('X=1\n', Object.fromEntries([[name, value]]));
    expect(change).toThrow(CapeError);
    expect(change).toThrow(message);
    expect(change).not.toThrow(/s3cret|\n/);
  });
});

describe('whatever the file and the value', () => {
  const piece = fc.constantFrom(
    "'",
    '"',
    '`',
    '\\',
    '\\n',
    '\n',
    '\r',
    '\r\n',
    '#',
    ' ',
    '=',
    '$',
    'a',
    'ß',
    '\u2028',
    '\t',
    '😀',
  );
  const value = fc.oneof(
    fc.array(piece, { maxLength: 8 }).map((parts) => parts.join('')),
    fc.string({ unit: 'binary', maxLength: 12 }),
  );
  const name = fc.constantFrom('A', 'B', 'C', 'LONG_NAME');
  const line = fc.oneof(
    fc
      .tuple(fc.constantFrom('', ' ', 'export '), name, fc.constantFrom('=', ' = ', ': ', '=\n'), value)
      .map((parts) => parts.join('')),
    fc.constantFrom('# note', '', "# it's", 'nonsense', "D='open", 'E="', 'A', '\ufeff', '  '),
  );
  const file = fc
    .tuple(fc.array(line, { maxLength: 6 }), fc.constantFrom('\n', '\r\n'), fc.constantFrom('', '\n'))
    .map(([lines, end, last]) => lines.join(end) + last);

  test('what was set is read back exactly, all else is as it was, and doing it again changes nothing', () => {
    let done = 0;
    fc.assert(
      fc.property(file, name, fc.option(value), (text, key, to) => {
        let changed: string;
        try {
          changed = changeEnvText(text, { [key]: to });
        } catch (error) {
          expect(error).toBeInstanceOf(CapeError);
          return;
        }
        done += 1;
        const { [key]: _, ...others } = parse(text);
        expect({ ...parse(changed) }).toEqual(to === null ? others : { ...others, [key]: to });
        expect(changeEnvText(changed, { [key]: to })).toBe(changed);
      }),
      { numRuns: 2000 },
    );
    expect(done).toBeGreaterThan(1000);
  });

  test('every value but those of all three quotes can be written to a file that is in order', () => {
    const tame = fc.array(fc.tuple(name, fc.stringMatching(/^[\w /:]{0,10}$/)), { maxLength: 5 });
    const writable = value.filter(
      (text) =>
        !text.includes('\0') &&
        Buffer.from(text).toString() === text &&
        !/[\\\r]/.test(text) &&
        !["'", '"', '`'].every((q) => text.includes(q)),
    );
    fc.assert(
      fc.property(tame, name, writable, (pairs, key, to) => {
        const text = pairs.map(([one, is]) => `# about ${one}\n${one}=${is}\n`).join('');
        const changed = changeEnvText(text, { [key]: to });
        expect(parse(changed)[key]).toBe(to);
        const comments = (all: string) => all.split('\n').filter((l) => l.startsWith('# about'));
        expect(comments(changed).slice(0, pairs.length)).toEqual(comments(text));
      }),
      { numRuns: 500 },
    );
  });
});

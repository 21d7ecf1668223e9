import { describe, expect, it } from 'vitest';
import { parseOptions } from './options.js';

const LINES = ['drain', 'commands', 'latency'];
const parse = (...args: string[]) =>
  parseOptions(args, LINES, (why) => {
    throw new Error(why);
  });

describe('the options of npm run bench', () => {
  it('measure everything in five rounds and write the docs', () =>
    expect(parse()).toEqual({ scale: { name: 'usual', rounds: 5 }, lines: LINES, write: true, json: false }));

  it('leave the docs alone after a quick run and after some lines', () => {
    expect(parse('--quick')).toMatchObject({ scale: { name: 'quick', rounds: 1 }, write: false });
    expect(parse('--only', 'latency,drain')).toMatchObject({ lines: ['drain', 'latency'], write: false });
    expect(parse('--only', 'drain', '--write')).toMatchObject({ write: true });
  });

  it.each([
    [['--only', 'dran'], '--only: no line is called "dran"; did you mean drain?'],
    [['--only', 'everything'], 'there are drain, commands, latency'],
    [['--only', ','], '--only: names no line'],
    [['--rounds', '0'], '--rounds: got "0"; must be a whole number from 1 to 1000'],
    [['--rounds', 'five'], '--rounds: got "five"'],
    [['--quick', '--full'], 'give one of them'],
    [['--quick', '--write'], '--write: not with --quick'],
    [['--fast'], 'Unknown argument: fast'],
  ])('refuse %j', (args, why) => expect(() => parse(...args)).toThrow(why));
});

import { describe, expect, it } from 'vitest';
import { insertInto, markdownOf, table } from './report.js';
import { type LineResult, merged, type Results } from './results.js';

const line: LineResult = {
  name: 'drain',
  title: 'Drain',
  when: '2031-02-03 04:05',
  rounds: 3,
  load: '0.10',
  seconds: 9,
  failure: null,
  measured: {
    figures: [{ contender: 'ours', figure: 'issues/s', unit: 'issues/s', samples: [3, 1, 2] }],
    goals: [{ what: 'drain', goal: '>= 1x', reached: '0.5x', met: false }],
    notes: ['how it was done'],
    plots: [{ name: 'cost', title: 'Cost', x: 'x', y: 'y', curves: [] }],
  },
};
const results = (...lines: LineResult[]): Results => ({ machine: [['Node', '20']], scale: 'usual', lines });
const page = (of: Results) => markdownOf(of, ({ name }) => `drawings/${name}.svg`);

describe('the page', () => {
  it('begins with the goals, and says which are not met', () => {
    expect(page(results(line)).split('\n').slice(0, 5)).toEqual([
      '## Goals',
      '',
      '| Line  | Goal  | Reached |             |',
      '| ----- | ----- | ------- | ----------- |',
      '| drain | >= 1x | 0.5x    | **not met** |',
    ]);
  });

  it('has median, least and greatest of each figure, notes and drawings', () => {
    const text = page(results(line));
    expect(text).toContain('| ours | issues/s | **2.00** | 1.00  | 3.00     |');
    expect(text).toContain('- how it was done');
    expect(text).toContain('![Cost](drawings/cost.svg)');
    expect(text).toContain('Measured 2031-02-03 04:05 UTC, 3 rounds by turns, load average 0.10 before.');
  });

  it('does not hide a line that failed', () => {
    const text = page(results({ ...line, measured: null, failure: 'no Postgres' }));
    expect(text).toContain('| Drain |      | not measured: the line failed | **not met** |');
    expect(text).toContain('Failed: no Postgres');
  });
});

it('keeps a cell with a bar or a line break in its row', () =>
  expect(table(['a'], [['x|y\nz']])).toBe('| a      |\n| ------ |\n| x\\|y z |'));

describe('putting it into the page that people wrote', () => {
  const FROM = '<!-- from here to the end marker: written by npm run bench -->';
  const TO = '<!-- end of what npm run bench writes -->';

  it('replaces what lies between the markers, and nothing else, however often', () => {
    const once = insertInto(`before\n${FROM}\nold\n${TO}\nafter\n`, 'new');
    expect(once).toBe(`before\n${FROM}\n\nnew\n\n${TO}\nafter\n`);
    expect(insertInto(once, 'new')).toBe(once);
  });

  it.each(['no markers', `${TO}\n${FROM}`, FROM])('refuses a page with %j', (text) =>
    expect(() => insertInto(text, 'new')).toThrow('the page has no lines'),
  );
});

it('keeps the lines that were not measured anew, in the order of the report', () => {
  const old = results({ ...line, name: 'growth', when: 'old' }, { ...line, when: 'old' });
  const kept = merged(old, results({ ...line, when: 'new' }), ['drain', 'growth']);
  expect(kept.lines.map(({ name, when }) => [name, when])).toEqual([
    ['drain', 'new'],
    ['growth', 'old'],
  ]);
  expect(merged(null, results(line), ['drain']).lines).toHaveLength(1);
});

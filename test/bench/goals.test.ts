import { expect, it } from 'vitest';
import { atLeastTimes, atMost, figureOf } from './goals.js';
import type { Figure } from './line.js';

const rate = (contender: string, ...samples: number[]): Figure => ({
  contender,
  figure: 'issues/s',
  unit: 'issues/s',
  samples,
});

it('is met by medians, with the numbers beside it', () => {
  const goal = atLeastTimes('drain', 1.2, rate('ours', 40_000, 44_000, 41_000), rate('peer', 33_000, 10_000, 34_000));
  expect(goal).toEqual({
    what: 'drain',
    goal: '>= 1.2x peer',
    reached: '1.24x (41.0 k issues/s against 33.0 k issues/s)',
    met: true,
  });
});

it('is not met below it, and what rounds up to it is below', () => {
  const goal = atLeastTimes('drain', 1.2, rate('ours', 1199), rate('peer', 1000));
  expect(goal).toMatchObject({ met: false, reached: expect.stringContaining('1.20x') });
});

it('may be a limit', () => {
  const goal = { what: 'start', goal: '<= 165 ms', reached: '170 ms', met: false };
  expect(atMost('start', 165, { ...rate('ours', 150, 170, 180), unit: 'ms' })).toEqual(goal);
});

it('is no goal without samples', () =>
  expect(() => figureOf([rate('ours', 1)], 'peer', 'issues/s')).toThrow('"issues/s" of "peer" was not measured'));

import { describe, expect, it } from 'vitest';
import { median, percentile, ratio, short } from './statistics.js';

describe('median', () => {
  it('is the middle one, whatever their order', () => expect(median([9, 1, 5])).toBe(5));
  it('lies between the two in the middle', () => expect(median([4, 1, 3, 2])).toBe(2.5));
  it('takes numbers for numbers', () => expect(median([10, 9, 100])).toBe(10));
  it('leaves the samples as they are', () => {
    const samples = [3, 1, 2];
    median(samples);
    expect(samples).toEqual([3, 1, 2]);
  });
  it('refuses to make one out of nothing', () => expect(() => median([])).toThrow('no samples'));
});

describe('percentile', () => {
  const hundred = Array.from({ length: 101 }, (_, value) => value);
  it('has so large a share below it', () => expect(percentile(hundred, 0.95)).toBe(95));
  it('has the ends at its ends', () => expect([percentile([2, 8], 0), percentile([2, 8], 1)]).toEqual([2, 8]));
  it('lies between two samples', () => expect(percentile([0, 10], 0.25)).toBe(2.5));
});

it('compares medians, not means', () => expect(ratio([2, 2, 1000], [1, 1, 1])).toBe(2));

describe('a number for people', () => {
  it.each([
    [44_123, '44.1 k'],
    [3068, '3.07 k'],
    [999.6, '1.00 k'],
    [312.4, '312'],
    [0.0171, '0.0171'],
    [0.00004, '0.0000'],
    [5_000_000, '5.00 M'],
    [0, '0'],
    [Number.NaN, '-'],
  ])('%d is %s', (value, text) => expect(short(value)).toBe(text));
});

import { describe, expect, it } from 'vitest';
import type { Plot } from './line.js';
import { svgOf } from './plot.js';

const plot: Plot = {
  name: 'cost',
  title: 'Cost & <backlog>',
  x: 'pending',
  y: 'ms',
  logX: true,
  curves: [
    {
      name: 'ours',
      points: [
        [1000, 1],
        [10_000, 1],
        [1_000_000, 1],
      ],
    },
    {
      name: 'peer',
      points: [
        [1000, 2],
        [1_000_000, 400],
      ],
    },
  ],
};

const placesOf = (svg: string) =>
  [...svg.matchAll(/<polyline points="([^"]*)"/g)].map(([, points]) =>
    points!.split(' ').map((point) => point.split(',').map(Number)),
  );

describe('a drawing', () => {
  const svg = svgOf(plot);

  it('has a curve and a name for each', () => {
    expect(placesOf(svg).map((places) => places.length)).toEqual([3, 2]);
    expect(svg).toContain('>ours</text>');
    expect(svg).toContain('>peer</text>');
  });

  it('lets a flat cost look flat, and a decade as wide as another', () => {
    const [first, second, last] = placesOf(svg)[0]!;
    expect(new Set([first![1], second![1], last![1]]).size).toBe(1);
    expect(last![0]! - second![0]!).toBeCloseTo(2 * (second![0]! - first![0]!), 0);
  });

  it('begins at zero: 400 stands 400 times as high as 1', () => {
    const floor = Number(/y1="([\d.]+)"/.exec(svg)![1]);
    const [ours, peer] = placesOf(svg);
    expect((floor - peer![1]![1]!) / (floor - ours![0]![1]!)).toBeGreaterThan(300);
  });

  it('lies within its picture', () => {
    for (const [x, y] of placesOf(svg).flat()) {
      expect(x).toBeGreaterThanOrEqual(72);
      expect(x).toBeLessThanOrEqual(700);
      expect(y).toBeGreaterThanOrEqual(44);
      expect(y).toBeLessThanOrEqual(344);
    }
  });

  it('takes texts as texts', () => expect(svg).toContain('Cost &amp; &lt;backlog&gt;'));
  it('is readable on a dark page too', () => expect(svg).toContain('prefers-color-scheme:dark'));
  it('can be made of a single point, and of zeros', () => {
    const bare = svgOf({ ...plot, logX: false, curves: [{ name: 'one', points: [[0, 0]] }] });
    expect(bare).not.toMatch(/NaN|Infinity/);
  });
});

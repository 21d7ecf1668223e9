import { expect, it } from 'vitest';
import { takeTurns } from './rounds.js';

it('lets contenders take turns, and keeps a sample of each round in its order', async () => {
  const order: string[] = [];
  const contender = (name: string, rounds?: number) => ({
    name,
    ...(rounds !== undefined && { rounds }),
    turn: async () => ({ rate: order.push(name), unasked: 1 }),
  });
  const all = [contender('a'), contender('b'), contender('slow', 1)];
  const figures = await takeTurns(all, 2, { rate: 'issues/s' }, () => {});
  expect(order).toEqual(['a', 'b', 'slow', 'a', 'b']);
  expect(figures).toEqual([
    { contender: 'a', figure: 'rate', unit: 'issues/s', samples: [1, 4] },
    { contender: 'b', figure: 'rate', unit: 'issues/s', samples: [2, 5] },
    { contender: 'slow', figure: 'rate', unit: 'issues/s', samples: [3] },
  ]);
});

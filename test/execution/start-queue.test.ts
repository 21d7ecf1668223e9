import { setImmediate as turn } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { type Start, StartQueue } from '../../src/execution/start-queue.js';
import { far, specOf } from './harness.js';

const startOf = (id: string): Start => ({ t: 'start', spec: specOf('/', id, '/bin/true', []), until: far() });

/** A queue that notes what begins. */
function queue() {
  const begun: string[] = [];
  const starts = new StartQueue(({ spec }) => begun.push(spec.id));
  return { begun, starts };
}

it('begins the first at once and one more in each turn of the loop, in their order', async () => {
  const { begun, starts } = queue();
  for (const id of ['a', 'b', 'c']) starts.add(startOf(id));
  expect(begun).toEqual(['a']);
  await turn();
  expect(begun).toEqual(['a', 'b']);
  await turn();
  expect(begun).toEqual(['a', 'b', 'c']);
  expect(starts.size).toBe(0);
});

it('does not begin two in one turn where the second comes after the first has begun', async () => {
  const { begun, starts } = queue();
  starts.add(startOf('a'));
  starts.add(startOf('b'));
  expect(begun).toEqual(['a']);
  for (let turns = 0; turns < 3; turns++) await turn();
  starts.add(startOf('c'));
  expect(begun).toEqual(['a', 'b', 'c']);
});

it('never begins what was taken out, and says whether it waited', async () => {
  const { begun, starts } = queue();
  for (const id of ['a', 'b', 'c']) starts.add(startOf(id));
  expect([starts.remove('a'), starts.remove('b'), starts.remove('b')]).toEqual([false, true, false]);
  for (let turns = 0; turns < 3; turns++) await turn();
  expect(begun).toEqual(['a', 'c']);
});

it('takes all out at once', async () => {
  const { begun, starts } = queue();
  for (const id of ['a', 'b', 'c']) starts.add(startOf(id));
  expect(starts.clear()).toEqual(['b', 'c']);
  for (let turns = 0; turns < 3; turns++) await turn();
  expect(begun).toEqual(['a']);
});

it('begins a run with the deadline that a renewal gave it meanwhile', async () => {
  const until = { mono: 1, boot: 2 };
  const deadlines: object[] = [];
  const starts = new StartQueue((start) => deadlines.push(start.until));
  starts.add(startOf('a'));
  starts.add(startOf('b'));
  expect([starts.confirm('a', until), starts.confirm('b', until)]).toEqual([false, true]);
  await turn();
  expect(deadlines[1]).toEqual(until);
});

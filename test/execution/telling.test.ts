import { setImmediate as turn } from 'node:timers/promises';
import { expect, it } from 'vitest';
import type { Ending, FromKeeper } from '../../src/execution/protocol.js';
import { Telling } from '../../src/execution/telling.js';
import { eventually } from './harness.js';

const started = (id: string): FromKeeper => ({ t: 'started', id, pid: 1 });
const ended = (id: string): FromKeeper => ({ t: 'ended', id, ending: {} as Ending });

/** @param aboutToEnd what the keeper would count */
function telling(aboutToEnd: () => number) {
  const written: string[][] = [];
  const told = new Telling(
    (messages) => written.push(messages.map((each) => ('id' in each ? each.id : each.t))),
    aboutToEnd,
  );
  return { told, written };
}

it('tells what comes in one turn of the loop together, in its order', async () => {
  const { told, written } = telling(() => 0);
  told.tell(started('a'));
  told.tell(ended('a'));
  told.tell(ended('b'));
  expect(written).toEqual([]);
  await turn();
  expect(written).toEqual([['a', 'a', 'b']]);
});

it('lets ends wait until twice as many have ended as are about to', async () => {
  let left = 6;
  const { told, written } = telling(() => left);
  for (const id of ['a', 'b', 'c', 'd']) {
    expect(written).toEqual([]);
    left -= 1;
    told.tell(ended(id));
    await turn();
  }
  expect(written).toEqual([['a', 'b', 'c', 'd']]);
});

it('lets no end wait for long, whatever is about to end', async () => {
  const { told, written } = telling(() => 100);
  told.tell(ended('a'));
  await eventually('it is told', () => written.length > 0);
  expect(written).toEqual([['a']]);
});

it('tells at once of an end that is not one of many, and of whatever else somebody waits for', async () => {
  const { told, written } = telling(() => 100);
  told.tell(ended('a'), true);
  await turn();
  told.tell(ended('b'));
  told.tell({ t: 'pong' });
  await turn();
  expect(written).toEqual([['a'], ['b', 'pong']]);
});

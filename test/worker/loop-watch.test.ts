import { expect, test } from 'vitest';
import { LoopWatch, type WatchedLoop } from '../../src/worker/loop-watch.js';

/** Looks every minute: ten of them are its patience. */
function watched(loop: Partial<WatchedLoop> = {}) {
  let turns = 0;
  let stuck: string | null = null;
  const one: WatchedLoop = { name: 'the loop', turns: () => turns, restMs: 300_000, ...loop };
  const watch = new LoopWatch([one], (name) => (stuck = name), 60_000);
  const look = (times: number) => {
    for (let n = 0; n < times; n++) watch.look();
    return stuck;
  };
  return { look, turn: () => (turns += 1) };
}

test('a loop that does not turn for its rest and ten minutes more is stuck, until it turns', () => {
  const { look, turn } = watched();
  expect(look(16)).toBeNull();
  expect(look(1)).toBe('the loop');
  turn();
  expect(look(1)).toBeNull();
  expect(look(15)).toBeNull();
});

test('each turn starts the count anew', () => {
  const { look, turn } = watched();
  for (let n = 0; n < 20; n++) {
    expect(look(10)).toBeNull();
    turn();
  }
});

test('a loop that is excused is left alone, and counted from then on', () => {
  let excused = true;
  const { look } = watched({ excused: () => excused });
  expect(look(100)).toBeNull();
  excused = false;
  expect(look(15)).toBeNull();
  expect(look(1)).toBe('the loop');
});

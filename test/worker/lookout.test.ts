/** Where the next claim looks: behind the last one, and from the head often enough. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type Claimed, START } from '../../src/queue/claim.js';
import { Lookout } from '../../src/worker/lookout.js';

const HINT = { priority: 0, created_at: '2026-01-01 00:00:00+00', id: 7 };
const full: Claimed = { claims: [{} as Claimed['claims'][number]], hint: HINT };

beforeEach(() => void vi.useFakeTimers({ toFake: ['performance', 'hrtime'] }));
afterEach(() => void vi.useRealTimers());

/** Claims one, which takes so long. @returns where it looked */
function claim(lookout: Lookout, ms: number) {
  const look = lookout.begin();
  vi.advanceTimersByTime(ms);
  lookout.answered(look, full, 1);
  return look.hint;
}

describe('a claim', () => {
  test('looks behind the last one, and from the head after two seconds', () => {
    const lookout = new Lookout(60_000);
    expect(claim(lookout, 5)).toBe(START);
    expect(claim(lookout, 1990)).toBe(HINT);
    expect(claim(lookout, 5)).toBe(HINT);
    expect(claim(lookout, 5)).toBe(START);
  });

  test('looks from the head at once when something was said of the queue', () => {
    const lookout = new Lookout(60_000);
    claim(lookout, 5);
    lookout.look();
    expect(claim(lookout, 5)).toBe(START);
  });

  test('looks from the head more seldom where that takes long: a twentieth of the time, every ten seconds at the least', () => {
    const lookout = new Lookout(60_000);
    claim(lookout, 300);
    expect(claim(lookout, 5990)).toBe(HINT);
    expect(claim(lookout, 10)).toBe(HINT);
    expect(claim(lookout, 4000)).toBe(START);
    expect(claim(lookout, 9990)).toBe(HINT);
    expect(claim(lookout, 10)).toBe(HINT);
    expect(claim(lookout, 5)).toBe(START);
  });
});

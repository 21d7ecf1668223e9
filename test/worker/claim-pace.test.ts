import fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import { type Claim, CRASH_CAP } from '../../src/core/issue.js';
import { ClaimPace } from '../../src/worker/claim-pace.js';
import { Suspects } from '../../src/worker/suspects.js';

const SLOTS = 10;
const nothing = { running: 0, waiting: 0, ended: 0 };
const crashed = (...crashes: number[]): Claim[] =>
  crashes.map((count, id) => ({ issue: { id, crashes: count } as Claim['issue'], attempt: 1, token: 't' }));

function quick(pace: ClaimPace, count: number): void {
  for (let n = 0; n < count; n++) {
    pace.ended(1);
    pace.written();
  }
}

describe('how many are claimed', () => {
  test('are the free slots at first, and for good where nothing ends within a second', () => {
    const pace = new ClaimPace(SLOTS, 500, new Suspects());
    expect(pace.limit(nothing)).toBe(10);
    expect(pace.limit({ ...nothing, running: 7 })).toBe(3);
    expect(pace.limit({ ...nothing, ended: 39 })).toBe(10);
    expect(pace.limit({ ...nothing, ended: 40 })).toBe(0);
    expect(pace.limit({ ...nothing, ended: 40 }, 1)).toBe(10);
    for (let n = 0; n < 100; n++) pace.ended(1000);
    expect(pace.limit({ ...nothing, running: 10 })).toBe(0);
  });

  test('grow with what ends within a second, by halves, four times as many at first, up to the most', () => {
    const pace = new ClaimPace(SLOTS, 500, new Suspects());
    quick(pace, 20);
    expect(pace.limit({ ...nothing, running: 10 })).toBe(45);
    quick(pace, 10_000);
    expect(pace.limit({ ...nothing, running: 10 })).toBe(255);
    expect(pace.limit({ ...nothing, running: 10, waiting: 245 })).toBe(255);
    expect(pace.limit({ ...nothing, running: 10, waiting: 246 })).toBe(0);
    expect(pace.limit({ ...nothing, running: 10, ended: 2039 })).toBe(255);
    expect(pace.limit({ ...nothing, running: 10, ended: 2040 })).toBe(0);
  });

  test('follow the rate, not what the first few would make of it', () => {
    vi.useFakeTimers({ toFake: ['performance', 'hrtime'] });
    const pace = new ClaimPace(SLOTS, 500, new Suspects());
    quick(pace, 1);
    vi.advanceTimersByTime(500);
    quick(pace, 39);
    // Forty in half a second.
    expect(pace.limit({ ...nothing, running: 10 })).toBe(45);
    vi.useRealTimers();
  });

  test('stay the free slots where no end can be written', () => {
    const pace = new ClaimPace(SLOTS, 500, new Suspects());
    for (let n = 0; n < 1000; n++) pace.ended(1);
    expect(pace.limit(nothing)).toBe(10);
  });

  test('are the free slots for a command, however quick', () => {
    const pace = new ClaimPace(SLOTS, 0, null);
    quick(pace, 1000);
    expect(pace.limit({ ...nothing, running: 4 })).toBe(6);
    expect(pace.answered(crashed(2, 2), nothing).begin).toHaveLength(2);
  });
});

describe('issues that a worker crashed under', () => {
  test('stop claiming ahead until an answer has none', () => {
    const pace = new ClaimPace(SLOTS, 500, new Suspects());
    quick(pace, 1000);
    const sifted = pace.answered(crashed(0, 1, ...Array(20).fill(0)), { ...nothing, running: 4 });
    expect([sifted.begin.length, sifted.back.length]).toEqual([6, 16]);
    expect(pace.limit(nothing)).toBe(10);
    expect(pace.limit({ ...nothing, ended: 10 })).toBe(0);
    pace.answered([], nothing);
    expect(pace.limit(nothing)).toBe(10);
    pace.answered(crashed(0), nothing);
    expect(pace.limit(nothing)).toBe(255);
  });

  test('run by themselves where one more crash would end them', () => {
    const pace = new ClaimPace(SLOTS, 500, new Suspects());
    const { begin, back } = pace.answered(crashed(0, 2, 1, 2), nothing);
    expect([begin.map(({ issue }) => issue.id), back.map(({ issue }) => issue.id)]).toEqual([
      [0, 2],
      [1, 3],
    ]);
    for (const busy of ['running', 'waiting', 'ended']) expect(pace.limit({ ...nothing, [busy]: 1 })).toBe(0);
    expect(pace.limit(nothing)).toBe(1);
    expect(pace.answered(crashed(2), nothing).begin).toHaveLength(1);
    expect(pace.limit(nothing)).toBe(1);
    pace.answered(crashed(0), nothing);
    expect(pace.limit({ ...nothing, running: 1 })).toBe(9);
  });

  test('whatever is claimed, in whatever state: none of them ever begins beside another issue', () => {
    const count = fc.nat({ max: 3 });
    const answer = fc.array(fc.nat({ max: CRASH_CAP }), { maxLength: 30 });
    fc.assert(
      fc.property(answer, count, count, count, (crashes, running, waiting, ended) => {
        const claims = crashed(...crashes);
        const { begin, back } = new Suspects().sift(claims, { running, waiting, ended }, SLOTS);
        expect([...begin, ...back].map(({ issue }) => issue.id).sort()).toEqual(
          claims.map(({ issue }) => issue.id).sort(),
        );
        const alone = begin.some(({ issue }) => issue.crashes >= CRASH_CAP - 1);
        if (alone) expect(begin.length + running + waiting + ended).toBe(1);
      }),
    );
  });
});

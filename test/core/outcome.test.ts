import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CRASH_CAP, isFinal, STATUSES, TRANSITIONS } from '../../src/core/issue.js';
import {
  backoff,
  type Counts,
  decide,
  JITTER,
  OUTCOMES,
  outcomeOfExit,
  type RetryPolicy,
} from '../../src/core/outcome.js';

const counts: fc.Arbitrary<Counts> = fc.record({
  failures: fc.nat(40_000),
  crashes: fc.nat(10),
  snoozes: fc.nat(100_000),
  max_attempts: fc.option(fc.integer({ min: -32_768, max: 32_767 })),
});
const policy: fc.Arbitrary<RetryPolicy> = fc
  .record({
    maxAttempts: fc.nat(100),
    baseMs: fc.nat(3_600_000),
    more: fc.nat(86_400_000),
    unrunnableMs: fc.nat(60_000),
  })
  .map(({ more, ...rest }) => ({ ...rest, capMs: rest.baseMs + more }));
const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const kind = fc.constantFrom(...OUTCOMES);
const codes = { invalid: [64, 65, 78], snooze: [75] };

describe('backoff', () => {
  test('never leaves min(cap, base * 2^(n-1)) +- 20 %', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 100_000 }), policy, random, (n, rules, chance) => {
        const exact = Math.min(rules.capMs, rules.baseMs * 2 ** Math.min(n - 1, 1000));
        const pause = backoff(n, rules, chance);
        expect(pause).toBeGreaterThanOrEqual(Math.floor(exact * (1 - JITTER)));
        expect(pause).toBeLessThanOrEqual(Math.ceil(exact * (1 + JITTER)));
        expect(Number.isInteger(pause)).toBe(true);
      }),
    );
  });

  test('grows with every failure until the cap', () => {
    const rules = { baseMs: 10_000, capMs: 3_600_000 };
    expect([1, 2, 3, 4, 9, 10, 50].map((n) => backoff(n, rules, 0.5) / 1000)).toEqual([
      10, 20, 40, 80, 2560, 3600, 3600,
    ]);
  });
});

describe('decide', () => {
  test('gives no verdict that leaves the table of transitions', () => {
    fc.assert(
      fc.property(kind, counts, policy, random, (outcome, before, rules, chance) => {
        const verdict = decide({ kind: outcome }, before, rules, chance);
        if (verdict.action === 'nothing') return;
        expect(TRANSITIONS.started).toContain(verdict.action === 'finish' ? verdict.status : 'pending');
        if (verdict.action === 'requeue') expect(verdict.delayMs).toBeGreaterThanOrEqual(0);
      }),
    );
  });

  test('charges a stop, a cancel, a lost database and a command that could not be started to nobody', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('interrupted', 'cancelled', 'unrunnable', 'succeeded'),
        counts,
        policy,
        random,
        (outcome, before, rules, chance) => {
          expect(decide({ kind: outcome }, before, rules, chance)).toMatchObject({ charge: 'none' });
        },
      ),
    );
  });

  test('lets an issue fail exactly as often as it may: its own limit goes before, 0 is none, and a negative one is not its own', () => {
    fc.assert(
      fc.property(fc.constantFrom('failed', 'timed_out'), counts, policy, random, (outcome, before, rules, chance) => {
        const own = before.max_attempts;
        const limit = own !== null && own >= 0 ? own : rules.maxAttempts;
        const verdict = decide({ kind: outcome }, before, rules, chance);
        expect(verdict).toMatchObject({ charge: 'failure' });
        expect(verdict.action).toBe(limit > 0 && before.failures + 1 >= limit ? 'finish' : 'requeue');
      }),
    );
  });

  test('snoozes without an end, and with growing pauses of its own count', () => {
    const rules = { maxAttempts: 1, baseMs: 10, capMs: 1000, unrunnableMs: 0 };
    const pauses = [0, 1, 2, 99].map((snoozes) =>
      decide({ kind: 'snoozed' }, { failures: 5, crashes: 0, snoozes, max_attempts: 1 }, rules, 0.5),
    );
    expect(pauses).toEqual([10, 20, 40, 1000].map((delayMs) => ({ action: 'requeue', delayMs, charge: 'snooze' })));
  });

  test('ends an issue that its crashes have reached the cap of', () => {
    const rules = { maxAttempts: 0, baseMs: 10, capMs: 1000, unrunnableMs: 0 };
    const after = (crashes: number) =>
      decide({ kind: 'crashed' }, { failures: 0, crashes, snoozes: 0, max_attempts: null }, rules, 0.5).action;
    expect([0, CRASH_CAP - 2, CRASH_CAP - 1].map(after)).toEqual(['requeue', 'requeue', 'finish']);
  });

  test('writes nothing for an attempt that is lost', () => {
    fc.assert(
      fc.property(counts, policy, random, (before, rules, chance) => {
        expect(decide({ kind: 'lost' }, before, rules, chance)).toEqual({ action: 'nothing' });
      }),
    );
  });
});

describe('an exit', () => {
  test.each([
    [0, 'succeeded'],
    [1, 'failed'],
    [42, 'failed'],
    [64, 'invalid'],
    [65, 'invalid'],
    [75, 'snoozed'],
    [78, 'invalid'],
    [126, 'failed'],
    [127, 'failed'],
    [255, 'failed'],
  ] as const)('with code %i has %s', (code, outcome) => {
    expect(outcomeOfExit({ code, signal: null }, codes).kind).toBe(outcome);
  });

  test('by a signal that we did not send has failed, and the error names it', () => {
    expect(outcomeOfExit({ code: null, signal: 'SIGSEGV' }, codes)).toMatchObject({
      kind: 'failed',
      error: expect.stringContaining('SIGSEGV'),
    });
  });
});

test('only final statuses have no way on but a retry', () => {
  for (const status of STATUSES) expect(isFinal(status)).toBe(TRANSITIONS[status].join() === 'pending');
});

import { describe, expect, test } from 'vitest';
import { KINDS, planIssues } from './issues.js';
import { FAULTS, type FaultKind, planFaults } from './schedule.js';

const options = { seed: 7, minutes: 10, workers: 4, disk: true };

describe('the schedule of faults', () => {
  test('is the same for the same seed, and another for another', () => {
    expect(planFaults(options)).toEqual(planFaults(options));
    expect(planFaults({ ...options, seed: 8 })).not.toEqual(planFaults(options));
  });

  test('has every kind of fault within two minutes', () => {
    for (let seed = 0; seed < 20; seed++) {
      const kinds = new Set(planFaults({ ...options, seed, minutes: 2 }).map(({ kind }) => kind));
      expect((Object.keys(FAULTS) as FaultKind[]).filter((kind) => !kinds.has(kind))).toEqual([]);
    }
  });

  test('never strikes one process, one connection, or the database while another fault of its kind lasts', () => {
    const plans = planFaults(options).filter(({ kind }) => !['rows', 'sessions'].includes(FAULTS[kind].target));
    const overlapping = plans.flatMap((plan, index) =>
      plans
        .slice(index + 1)
        .filter((other) => other.worker === plan.worker && FAULTS[other.kind].target === FAULTS[plan.kind].target)
        .filter((other) => other.atMs < plan.atMs + plan.forMs)
        .map((other) => [plan, other]),
    );
    expect(overlapping).toEqual([]);
  });

  test('strikes several at once now and then, and is over when it should be', () => {
    const plans = planFaults(options);
    expect(plans.filter((plan, index) => index > 0 && plan.atMs - plans[index - 1]!.atMs < 100).length).toBeGreaterThan(
      20,
    );
    expect(plans.filter(({ atMs, forMs }) => atMs + forMs > 600_000)).toEqual([]);
  });

  test('leaves full disks out where none can be mounted', () => {
    expect(planFaults({ ...options, disk: false }).filter(({ kind }) => kind === 'full disk')).toEqual([]);
  });
});

describe('the issues of a run', () => {
  test('are the same for the same seed, each with a text of its own', () => {
    const issues = planIssues(7, 10);
    expect(issues).toEqual(planIssues(7, 10));
    expect(new Set(issues.map(({ description }) => description)).size).toBe(issues.length);
  });

  test('are of every kind, also in a short run', () => {
    const kinds = new Set(planIssues(7, 0.5).map(({ kind }) => kind));
    expect(Object.keys(KINDS).filter((kind) => !kinds.has(kind as keyof typeof KINDS))).toEqual([]);
  });
});

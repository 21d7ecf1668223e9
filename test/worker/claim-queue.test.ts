/** Claims that wait for a slot, as the parts around them see them. */
import { beforeEach, expect, test } from 'vitest';
import type { Claim } from '../../src/core/issue.js';
import type { Outcome } from '../../src/core/outcome.js';
import type { Queryable } from '../../src/db/connect.js';
import { now } from '../../src/execution/clock.js';
import { silent } from '../../src/log.js';
import { Attempts } from '../../src/worker/attempts.js';
import { LeaseKeeper, type LeaseKeeperParts } from '../../src/worker/lease-keeper.js';
import { until } from '../support/until.js';

const claim = (id: number): Claim => ({ issue: { id, description: 'x' } as Claim['issue'], attempt: 1, token: 't' });

let begun: number[];
let endings: Map<number, (outcome: Outcome) => void>;
let attempts: Attempts;

beforeEach(() => {
  begun = [];
  endings = new Map();
  const start = ({ issue }: Claim) => {
    begun.push(issue.id);
    const ended = new Promise<Outcome>((done) => endings.set(issue.id, done));
    return { run: { started: Promise.resolve(1), ended, end() {}, kill() {} }, files: null };
  };
  attempts = new Attempts({
    starter: { start },
    policy: { maxAttempts: 3, baseMs: 1000, capMs: 1000, unrunnableMs: 1000 },
    host: 'test-host',
    log: silent,
    slots: 1,
    onEnded() {},
  });
  for (const id of [1, 2, 3, 4]) attempts.take(claim(id), now());
});

const outcomes = () => attempts.unsettled().map(({ id, outcome }) => `${id} ${outcome.kind}`);

test('they begin in order as slots become free, and hold their lease all the time', async () => {
  expect([begun, attempts.running, attempts.waiting]).toEqual([[1], 1, 3]);
  expect(attempts.held().map(({ id }) => id)).toEqual([1, 2, 3, 4]);
  endings.get(1)!({ kind: 'succeeded' });
  await until(() => begun.length === 2);
  expect([begun, attempts.running, attempts.waiting, outcomes()]).toEqual([[1, 2], 1, 2, ['1 succeeded']]);
  expect(attempts.idle).toBe(false);
});

test('one that is lost or cancelled never begins, and only the cancel is written', async () => {
  attempts.lost(2, 't');
  attempts.cancel(3, 't');
  attempts.lost(4, 'the token of another claim');
  expect(outcomes()).toEqual(['3 cancelled']);
  endings.get(1)!({ kind: 'succeeded' });
  await until(() => begun.length === 2);
  expect(begun).toEqual([1, 4]);
});

test('they go back as interrupted, the oldest alone where only those have waited too long', () => {
  attempts.giveBackWaiting('test', attempts.waitingSince);
  expect(outcomes()).toEqual([]);
  attempts.giveBackWaiting('test');
  expect(outcomes()).toEqual(['2 interrupted', '3 interrupted', '4 interrupted']);
  expect([attempts.waiting, attempts.waitingSince]).toEqual([0, Number.POSITIVE_INFINITY]);
});

test('a renewal moves their deadline too', async () => {
  const TRUST_MS = 60_000;
  const db: Queryable = {
    async query() {
      const leases = attempts.held().map((held) => ({ ...held, state: 'ok', cancelled: null }));
      return [{ registered: true, paused: false, leases }] as never;
    },
  };
  const nothing = () => {};
  const keeper = new LeaseKeeper({
    ...{ db, attempts, intervalMs: 60_000, leaseMs: 90_000, trustMs: TRUST_MS, graceMs: 0, instance: 'i' },
    ...{ mark: { carried: false }, outage: { over: nothing } },
    ...{ confirm: nothing, onRenewed: nothing, onPaused: nothing, onTaken: nothing },
  } as unknown as LeaseKeeperParts);
  const since = now().mono;
  const running = keeper.run();
  await until(() => [...attempts.dated()].every(({ until: deadline }) => deadline.mono >= since + TRUST_MS));
  expect([...attempts.dated()]).toHaveLength(4);
  keeper.stop();
  await running;
});

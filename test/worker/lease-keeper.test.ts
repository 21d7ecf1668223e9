import { expect, test } from 'vitest';
import type { Queryable } from '../../src/db/connect.js';
import { now } from '../../src/execution/clock.js';
import type { Deadline } from '../../src/execution/spec.js';
import { LeaseKeeper, type LeaseKeeperParts } from '../../src/worker/lease-keeper.js';
import { until } from '../support/until.js';

test('a deadline counts from before the renewal was sent: the database may have read its clock at any time since', async () => {
  const ANSWER_MS = 400;
  const TRUST_MS = 10_000;
  let sentAt = 0;
  const db: Queryable = {
    async query() {
      sentAt ||= now().mono;
      await new Promise((done) => setTimeout(done, ANSWER_MS));
      return [{ registered: true, leases: [{ id: 7, token: 't', state: 'ok', cancelled: null }] }] as never;
    },
  };
  const active = { claim: { issue: { id: 7 }, attempt: 1, token: 't' }, until: { mono: 0, boot: 0 } };
  const attempts = { held: () => [{ id: 7, token: 't' }], active: [active], dated: () => [active], cancel() {} };
  const confirmed: (readonly [string, Deadline])[] = [];
  const parts = {
    ...{ db, attempts, intervalMs: 60_000, leaseMs: 20_000, trustMs: TRUST_MS, instance: 'i' },
    mark: { carried: false },
    outage: { over() {} },
    confirm: (deadlines: (readonly [string, Deadline])[]) => confirmed.push(...deadlines),
    onRenewed() {},
    onPaused() {},
    onTaken() {},
  };
  active.until = { mono: Number.POSITIVE_INFINITY, boot: Number.POSITIVE_INFINITY };
  const keeper = new LeaseKeeper(parts as unknown as LeaseKeeperParts);
  const done = keeper.run();
  await until(() => confirmed.length > 0);
  keeper.stop();
  await done;
  expect(confirmed[0]![0]).toBe('7/1');
  expect(confirmed[0]![1].mono).toBeLessThanOrEqual(sentAt + TRUST_MS);
  expect(active.until).toEqual(confirmed[0]![1]);
});

test('deadlines are looked at while something runs, and an idle worker does not wake for them', async () => {
  const ended: string[] = [];
  const attempts = { held: () => [], dated: () => [], active: [] as unknown[], end() {} };
  const parts = {
    ...{ db: { query: async () => [{ registered: true, leases: [] }] }, attempts, intervalMs: 60_000, graceMs: 60_000 },
    ...{ leaseMs: 20_000, trustMs: 10_000, instance: 'i', mark: { carried: false }, outage: { over() {} } },
    ...{ confirm() {}, onRenewed() {}, onPaused() {}, onTaken() {} },
  };
  const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
  const keeper = new LeaseKeeper(parts as unknown as LeaseKeeperParts);
  const before = timers();
  const done = keeper.run();
  await until(() => timers() === before + 1); // until the next renewal

  attempts.active = [{ until: { mono: 0, boot: 0 }, run: { end: (why: string) => ended.push(why), kill() {} } }];
  keeper.guard();
  await until(() => ended.length > 1);
  expect(new Set(ended)).toEqual(new Set(['unconfirmed']));

  attempts.active = [];
  await until(() => timers() === before + 1);
  attempts.active = [{ until: { mono: 0, boot: 0 }, run: { end: () => ended.push('again'), kill() {} } }];
  keeper.guard();
  await until(() => ended.includes('again'));
  keeper.stop();
  await done;
  expect(timers()).toBeLessThanOrEqual(before);
});

import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Failure } from '../../src/db/failure.js';
import { silent } from '../../src/log.js';
import { Outage } from '../../src/worker/outage.js';

const away = { kind: 'unreachable', message: 'ECONNREFUSED' } as Failure;
const MINUTE_MS = 60_000;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['hrtime', 'Date'], now: new Date('2026-01-02T03:04:05Z') });
});
afterEach(() => {
  vi.useRealTimers();
});

test('an outage that lasts is told again every five minutes, with its beginning; a new one begins anew', () => {
  const lines: string[] = [];
  const outage = new Outage({
    ...silent,
    warn: (line) => void lines.push(line),
    info: (line) => void lines.push(line),
  });
  const told = 'the database is out of reach (ECONNREFUSED)';
  const first = `${told}; trying again until it is back`;
  const again = `${told} since 2026-01-02T03:04:05.000Z; trying again until it is back`;
  for (let seconds = 0; seconds < 11 * 60; seconds += 30) {
    outage.failed('the queue', away);
    outage.failed('the leases', away);
    vi.advanceTimersByTime(MINUTE_MS / 2);
  }
  expect(lines).toEqual([first, again, again]);
  outage.over('the queue');
  outage.over('the leases');
  outage.failed('the queue', away);
  expect(lines.slice(3)).toEqual(['the database is back after 660.0 s', first]);
});

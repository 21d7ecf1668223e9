import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Failure } from '../../src/db/failure.js';
import { silent } from '../../src/log.js';
import { Outage, pauseBeforeTry } from '../../src/worker/outage.js';

const away: Failure = {
  ...{ kind: 'unreachable', code: 'ECONNREFUSED', unclear: false },
  ...{ message: 'connect ECONNREFUSED 127.0.0.1:5432', server: '127.0.0.1:5432' },
};
const starting: Failure = { ...away, code: '57P03', message: 'the database system is starting up' };
const standby: Failure = { ...away, kind: 'readonly', code: '25006', message: 'cannot execute INSERT' };
const SECOND_MS = 1000;

let lines: string[];
let outage: Outage;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['hrtime', 'Date'], now: new Date('2026-01-02T03:04:05Z') });
  lines = [];
  const note = (line: string) => void lines.push(line);
  outage = new Outage({ ...silent, warn: note, info: note });
});
afterEach(() => {
  vi.useRealTimers();
});

describe('what the log says of an outage', () => {
  test('is told again every five minutes, with its beginning; a new one begins anew', () => {
    const told = 'the database is out of reach (connect ECONNREFUSED 127.0.0.1:5432)';
    const first = `${told}; trying again until it is back`;
    const again = `${told} since 2026-01-02T03:04:05.000Z; trying again until it is back`;
    for (let seconds = 0; seconds < 11 * 60; seconds += 30) {
      outage.failed('the queue', away);
      outage.failed('the leases', away);
      vi.advanceTimersByTime(30 * SECOND_MS);
    }
    expect(lines).toEqual([first, again, again]);
    outage.over('the queue');
    outage.over('the leases');
    outage.failed('the queue', away);
    expect(lines.slice(3)).toEqual(['the database is back after 660.0 s', first]);
  });

  test('names each state once, in the order in which it was met', () => {
    for (const failure of [away, away, starting, starting, standby]) outage.failed('the queue', failure);
    outage.over('the queue');
    expect(lines).toEqual([
      'the database is out of reach (connect ECONNREFUSED 127.0.0.1:5432); trying again until it is back',
      'the database at 127.0.0.1:5432 is starting up or shutting down (the database system is starting up); trying again until it is back',
      'the database at 127.0.0.1:5432 is read-only: a standby, a primary that was demoted, or a server set so (cannot execute INSERT); trying again until it is back',
      'the database is back after 0.0 s',
    ]);
  });

  test('of an hour in which two connections see two states in turn is two lines and their repeats', () => {
    let tries = 0;
    for (let seconds = 0; seconds < 3600; seconds += 5) {
      outage.failed('the queue', standby);
      outage.failed('the leases', away);
      tries += 2;
      vi.advanceTimersByTime(5 * SECOND_MS);
    }
    expect(tries).toBe(1440);
    expect(lines).toHaveLength(2 * 12);
    expect(lines.filter((line) => !line.includes('since 2026'))).toHaveLength(2);
  });

  test('is not over for one who has nothing to ask any more: that is told when somebody gets through', () => {
    outage.failed('the queue', away);
    outage.withdraw('the queue');
    outage.failed('the leases', away);
    outage.failed('the queue', away);
    outage.withdraw('the queue');
    expect(lines).toHaveLength(1);
    vi.advanceTimersByTime(2 * SECOND_MS);
    outage.over('the leases');
    outage.over('the queue');
    expect(lines.slice(1)).toEqual(['the database is back after 2.0 s']);
  });
});

describe('the pauses between tries', () => {
  test('double from 0.1 s to a cap, and are never further than a fifth from that', () => {
    fc.assert(
      fc.property(fc.nat(5000), fc.double({ min: 0, max: 1, noNaN: true }), (tries, random) => {
        const middle = Math.min(30_000, 100 * 2 ** Math.min(tries, 20));
        const pause = pauseBeforeTry(tries, random);
        expect(pause).toBeGreaterThanOrEqual(Math.floor(middle * 0.8));
        expect(pause).toBeLessThanOrEqual(Math.ceil(middle * 1.2));
        expect(pauseBeforeTry(tries, random, 5000)).toBeLessThanOrEqual(6000);
      }),
    );
  });

  test('are ended for everybody as soon as one gets through, and then somebody is told that all is well', () => {
    const woken: string[] = [];
    outage.onOver = () => woken.push('over');
    for (const who of ['queue', 'leases', 'upkeep']) outage.failed(who, away, () => woken.push(who));
    outage.over('leases');
    expect(woken).toEqual(['queue', 'upkeep']);
    outage.over('queue');
    outage.over('queue');
    expect(woken).toEqual(['queue', 'upkeep', 'upkeep']);
    outage.over('upkeep');
    expect(woken.at(-1)).toBe('over');
    expect(lines).toHaveLength(2);
  });
});

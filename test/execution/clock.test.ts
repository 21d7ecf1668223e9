import { expect, test } from 'vitest';
import { after, isPast, within } from '../../src/execution/clock.js';

test('a host that was suspended: a deadline has passed once either clock says so, though one stood still', () => {
  const deadline = after({ mono: 1000, boot: 50_000 }, 10_000);
  expect(isPast(deadline, { mono: 10_999, boot: 59_999 })).toBe(false);
  // Asleep for an hour: the monotonic clock did not move, the boot-time clock did.
  expect(isPast(deadline, { mono: 1001, boot: 3_650_000 })).toBe(true);
  expect(isPast(deadline, { mono: 11_001, boot: 50_010 })).toBe(true);
});

test('a wait for something that fails leaves no timer behind, which would keep the process alive', async () => {
  const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
  const before = timers();
  await expect(within(Promise.reject(new Error('no')), 60_000)).rejects.toThrow('no');
  expect(timers()).toBe(before);
});

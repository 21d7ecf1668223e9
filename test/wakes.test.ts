import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test, vi } from 'vitest';
import { wakeEvery, wakeWithin } from '../src/wakes.js';
import { until } from './support/until.js';

/** When it was called, milliseconds after `since`; empty before. */
function called(from: number, until: number, since = performance.now()) {
  const times: number[] = [];
  const callOff = wakeWithin({ from, until }, () => times.push(performance.now() - since));
  return { times, callOff };
}

test('what may be called already comes along with what must be, and the rest later', async () => {
  const since = performance.now();
  const may = called(50, 60_000, since);
  const must = called(100, 100, since);
  const later = called(200, 250, since);
  await until(() => later.times.length > 0);
  expect(may.times).toEqual([expect.closeTo(must.times[0]!, -1)]);
  expect(must.times[0]).toBeGreaterThanOrEqual(98);
  expect(later.times[0]).toBeGreaterThanOrEqual(199);
});

test('nobody waits beyond the end of the own span, whatever was there before and was called off', async () => {
  const gone = called(20, 20);
  const longer = called(10_000, 20_000);
  const one = called(30, 60);
  gone.callOff();
  await until(() => one.times.length > 0, { timeoutMs: 2000 });
  expect(gone.times).toEqual([]);
  expect(longer.times).toEqual([]);
  longer.callOff();
});

test('what comes again and again does so until it is ended', async () => {
  let calls = 0;
  const end = wakeEvery({ from: 5, until: 10 }, () => {
    calls += 1;
  });
  await until(() => calls >= 3);
  end();
  const then = calls;
  const after = called(50, 50);
  await until(() => after.times.length > 0);
  expect(calls).toBe(then);
});

test('one that ends itself is not called again', async () => {
  let calls = 0;
  const end = wakeEvery({ from: 1, until: 2 }, () => {
    calls += 1;
    end();
  });
  const after = called(50, 50);
  await until(() => after.times.length > 0);
  expect(calls).toBe(1);
});

test('a process lives for what is to be called once, not for what comes again and again', () => {
  const module = fileURLToPath(new URL('../src/wakes.ts', import.meta.url));
  const program = (text: string) => {
    const source = `import { wakeEvery, wakeWithin } from ${JSON.stringify(module)}; ${text}`;
    const { stdout, stderr, status } = spawnSync(
      process.execPath,
      ['--import', 'tsx', '--input-type=module', '--eval', source],
      {
        encoding: 'utf8',
        timeout: 20_000,
      },
    );
    expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
    return stdout;
  };
  const often = `wakeEvery({ from: 1e6, until: 2e6 }, () => {});`;
  expect(program(`${often} wakeWithin({ from: 30, until: 30 }, () => console.log('called'));`)).toBe('called\n');
  expect(program(`${often} wakeWithin({ from: 1e6, until: 1e6 }, () => console.log('called'))();`)).toBe('');
});

test('who waits for ever is not called every millisecond, whatever the clock makes of it in its last digit', () => {
  const asked = vi.spyOn(globalThis, 'setTimeout');
  const clock = vi.spyOn(performance, 'now');
  for (let n = 1; n <= 1000; n++) {
    clock.mockReturnValue(n * 1.1);
    wakeWithin({ from: Number.POSITIVE_INFINITY, until: Number.POSITIVE_INFINITY }, () => {})();
  }
  const longest = Math.max(...asked.mock.calls.map(([, ms]) => ms ?? 0));
  vi.restoreAllMocks();
  expect(longest).toBe(2 ** 31 - 1);
});

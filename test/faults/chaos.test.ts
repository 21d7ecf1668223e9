/** A short run of `npm run chaos`, and the proof that it can fail: the same without one of the program's fences. */
import { existsSync } from 'node:fs';
import { describe, expect, onTestFailed, test } from 'vitest';
import type { Violation } from '../chaos/checker.js';
import { print, reportOf } from '../chaos/report.js';
import { type ChaosOptions, runChaos } from '../chaos/run-chaos.js';
import { PROVOCATION_MINUTES } from '../chaos/schedule.js';

const LIMIT_MS = 400_000;

async function chaos(options: Partial<ChaosOptions>): Promise<readonly Violation[]> {
  const lines: string[] = [];
  const say = (line: string) => void lines.push(line);
  onTestFailed(() => console.log(lines.join('\n')));
  const signal = new AbortController().signal;
  const all = { seed: 20, minutes: 1, without: null, provoke: false, dir: null, keep: false, say, signal, ...options };
  const result = await runChaos(all);
  print(reportOf(result, all), say);
  if (!result.disks) console.log('full disks were left out: no small file system can be mounted here');
  return result.violations;
}

const linux = existsSync('/proc/self/environ');
if (!linux) console.log('chaos is skipped: it needs /proc to see what is alive');

describe.skipIf(!linux).concurrent('faults of every kind for a minute', () => {
  test('lose nothing, run nothing twice and charge nothing wrongly', { timeout: LIMIT_MS }, async () => {
    expect(await chaos({})).toEqual([]);
  });

  test('show overlapping attempts where nobody fences himself', { timeout: LIMIT_MS }, async () => {
    const rules = (await chaos({ minutes: PROVOCATION_MINUTES, without: 'self-fencing' })).map(({ rule }) => rule);
    expect(rules).toContain('overlap');
  });

  test('show them where late writes are not fenced off', { timeout: LIMIT_MS }, async () => {
    const rules = (await chaos({ minutes: PROVOCATION_MINUTES, without: 'fencing' })).map(({ rule }) => rule);
    expect(rules).toContain('overlap');
  });
});

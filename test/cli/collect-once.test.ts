import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { optionFor } from '../../src/cli/collect-once.js';

test('the option is one that this Node knows', () => {
  const option = optionFor(process.version);
  const { status, stderr } = spawnSync(process.execPath, [
    '-e',
    `require('node:v8').setFlagsFromString(${JSON.stringify(option ?? '')})`,
  ]);
  expect(String(stderr)).toBe('');
  expect(status).toBe(0);
});

test('a Node that nobody has tried is left as it is', () => {
  expect(optionFor('v20.19.0')).toBe('--memory-reducer-single-gc');
  expect(optionFor('v22.12.0')).toBe('--memory-reducer-gc-count=1');
  expect(optionFor('v2.0.0')).toBeUndefined();
  expect(optionFor('v31.0.0')).toBeUndefined();
});

import { defineConfig, mergeConfig } from 'vitest/config';
import base from './vitest.config.js';

/** What takes real faults, or ten thousand inputs, or real workers one after another, and minutes: kept out of `npm test`, run by `npm run test:faults`. */
export default mergeConfig(
  { ...base, test: { ...base.test, include: [], exclude: ['test/fixtures/**'] } },
  defineConfig({
    test: {
      include: ['test/faults/**/*.test.ts', 'test/**/*.{fuzz,slow}.test.ts'],
      maxWorkers: 2,
      testTimeout: 180_000,
    },
  }),
);

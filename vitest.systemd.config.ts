import { defineConfig } from 'vitest/config';

/** What takes a booted systemd: `npm run test:systemd`. One guest at a time. */
export default defineConfig({
  test: {
    include: ['test/systemd/**/*.test.ts'],
    pool: 'forks',
    maxWorkers: 1,
    testTimeout: 180_000,
    hookTimeout: 180_000,
    reporters: [['default', { summary: false }]],
    // What a test shows belongs above its result, not into a block of its own.
    disableConsoleIntercept: true,
  },
});

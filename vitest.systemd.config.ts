import { defineConfig } from 'vitest/config';

/** What takes a booted systemd: `npm run test:systemd`. */
export default defineConfig({
  test: {
    include: ['test/systemd/**/*.test.ts'],
    pool: 'forks',
    // Most of their time they wait; each has a guest of its own.
    maxWorkers: 3,
    testTimeout: 180_000,
    hookTimeout: 180_000,
    reporters: [['default', { summary: false }]],
    // What a test shows belongs above its result, not into a block of its own.
    disableConsoleIntercept: true,
  },
});

import { defineConfig } from 'vitest/config';

/** What takes a browser, and a minute: `npm run test:dashboard`. */
export default defineConfig({
  test: {
    include: ['test/dashboard/browser/**/*.test.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 180_000,
    hookTimeout: 120_000,
  },
});

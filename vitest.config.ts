import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: [
      'test/fixtures/**',
      'test/bench/node_modules/**',
      'test/faults/**',
      'test/systemd/**',
      'test/dashboard/browser/**',
      'test/**/*.{fuzz,slow}.test.ts',
    ],
    globalSetup: ['test/support/global-setup.ts'],
    // Processes, not threads: tests start children, send signals and change the working directory.
    pool: 'forks',
    // Most of their time tests wait for leases and pauses to pass: two workers left 2 cores two thirds idle.
    maxWorkers: 4,
    // A noisy machine is no failure: what hangs, hangs for longer.
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});

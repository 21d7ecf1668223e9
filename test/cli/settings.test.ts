/** What `check`, `config` and `run` say about settings and folders before anything runs. No server is needed. */
import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { cli, emptyFolder } from './run-cli.js';

test("check finds a file of the worker's log that cannot be written", async () => {
  const cwd = emptyFolder();
  mkdirSync(join(cwd, 'logs'));
  // Root may write to any file, but nobody to a link that leads to itself.
  symlinkSync('worker_w-1.log', join(cwd, 'logs', 'worker_w-1.log'));
  const checked = await cli(['check', '--command', 'true', '--worker-id', 'w-1'], { cwd });
  expect(checked.stdout).toMatch(/✗ log folder: --log-dir: ".*logs\/worker_w-1\.log" can't be written to/);
});

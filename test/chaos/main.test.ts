/** What `npm run chaos` says about its options before it makes anything. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';

const MAIN = fileURLToPath(new URL('./main.ts', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'cape chaos '));
writeFileSync(join(folder, 'mine'), '');
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test.runIf(existsSync('/proc/self/environ')).each([
  [['--minutes', 'abc'], /^--minutes: got "abc"; must be a number from 0.2 to 600$/m],
  [['--minutes', '1', '--minutes', '2'], /^--minutes: got 1 and 2; give it once$/m],
  [['--seed', ''], /^--seed: got ""; must be a whole number/],
  [['--dir', folder], /^--dir: got ".*", which is not empty; name a folder that is, or does not exist$/m],
  [['--dir', join(folder, 'mine')], /^--dir: got ".*", which can't be looked into: ENOTDIR/m],
  [['--dir', '/proc/x/y'], /^--dir: got "\/proc\/x\/y"; can't write there: ENOENT/m],
])('%j is refused with one line and the exit code 2', (args, line) => {
  const run = spawnSync(process.execPath, ['--import', 'tsx', MAIN, ...args], {
    encoding: 'utf8',
    timeout: 60_000,
    killSignal: 'SIGKILL', // what hangs in mkdir hears nothing else
  });
  expect(run.stderr).toMatch(line);
  expect(run.stderr).not.toMatch(/^ +at /m);
  if (args[0] === '--dir' && args[1] !== '/proc/x/y') expect(run.stderr).not.toContain('making a folder');
  expect(run.status).toBe(2);
});

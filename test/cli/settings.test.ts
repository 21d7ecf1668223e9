/** What `check`, `config` and `run` say about settings and folders before anything runs. No server is needed. */
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
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

test('config shows folders as a worker would find them', async () => {
  const cwd = emptyFolder();
  const { stdout } = await cli(['config', '--working-dir', 'of/mine'], { cwd });
  expect(stdout).toContain(`${join(cwd, 'of/mine')} `);
  expect(stdout).toContain(`${join(cwd, 'logs')} `);
  expect(stdout).toMatch(/^data-dir +\/.* +default +CAPE_DATA_DIR$/m);
});

test.each([
  ' postgres://cape:TOPsecret@db:x/cape',
  'postgres//cape:TOPsecret@db/cape',
  '"postgres://cape:TOPsecret@db/cape',
])('no command shows the password of the malformed URL %s', async (url) => {
  const cwd = emptyFolder();
  writeFileSync(join(cwd, '.env'), `DATABASE_URL=${url}\n`);
  for (const args of [['config'], ['check'], ['status'], ['--worker-id', 'w-1', '--command', 'true']]) {
    const { stdout, stderr } = await cli(args, { cwd });
    expect(stdout + stderr).toContain('***');
    expect(stdout + stderr).not.toContain('TOPsecret');
  }
});

test('a command that uses few settings warns of misspelt ones too', async () => {
  const env = { DATABASE_URL: 'postgres://h:x/d', CAPE_SCHEMAS: 'mine' };
  const { code, stderr } = await cli(['status'], { env });
  expect(code).toBe(78);
  expect(stderr).toContain('environment: unknown variable CAPE_SCHEMAS; did you mean CAPE_SCHEMA?');
});

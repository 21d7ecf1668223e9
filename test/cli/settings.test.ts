/** What `check`, `config` and `run` say about settings and folders before anything runs. No server is needed. */
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { cli, emptyFolder, start } from './run-cli.js';

test("check finds a file of the worker's log that cannot be written", async () => {
  const cwd = emptyFolder();
  mkdirSync(join(cwd, 'logs'));
  // Root may write to any file, but nobody to a link that leads to itself.
  symlinkSync('worker_w-1.log', join(cwd, 'logs', 'worker_w-1.log'));
  const checked = await cli(['check', '--command', 'true', '--worker-id', 'w-1'], { cwd });
  expect(checked.stdout).toMatch(/✗ log folder: --log-dir: ".*logs\/worker_w-1\.log" can't be written to/);
});

describe.runIf(existsSync('/proc/self'))('a folder that even root cannot make', () => {
  // Node's own mkdir with `recursive` asks for ever there, with a processor of its own: a hang is ended from outside.
  const within = async (args: readonly string[]) => {
    const running = start(args);
    const limit = setTimeout(() => running.process.kill('SIGKILL'), 30_000);
    return running.ended.finally(() => clearTimeout(limit));
  };

  test.each([
    ['--log-dir', ['--worker-id', 'w-1', '--command', 'true', '--log-dir', '/proc/x/y']],
    ['data folder', ['issues', 'list', '--data-dir', '/proc/x/y']],
  ])('is an error of the setting, told in one line: %s', async (what, args) => {
    const { code, stderr } = await within(args);
    expect(code).toBe(78);
    expect(stderr).toContain(what);
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
  });

  test('is found by check', async () => {
    const { stdout } = await within(['check', '--command', 'true', '--log-dir', '/proc/x/y']);
    expect(stdout).toMatch(/✗ log folder: --log-dir: /);
  });
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

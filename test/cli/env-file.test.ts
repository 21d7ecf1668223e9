/** `--env-file` on the command line: as the built program reads it, and not Node. */
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { COMMANDS } from '../../src/cli/commands.js';
import { cli, emptyFolder, MAIN } from './run-cli.js';

const WITHOUT_SETTINGS = /^(demo|completion|service( .+)?)$/;

test('every command that reads settings takes it', async () => {
  for (const listed of COMMANDS.filter(({ name }) => !WITHOUT_SETTINGS.test(name))) {
    expect(Object.keys((await listed.load()).options), listed.name).toContain('env-file');
  }
});

test('config shows what comes from it, its path, and no password', async () => {
  const cwd = emptyFolder();
  writeFileSync(join(cwd, 'a.env'), 'DATABASE_URL=postgres://me:T0Psecret@h/d\nCAPE_GRACE=5\n', { mode: 0o600 });
  const { stdout, stderr } = await cli(['config', '--env-file', 'a.env'], { cwd });
  expect(stderr).toBe('');
  expect(stdout).toMatch(new RegExp(`^database-url +postgres://me:\\*\\*\\*@h/d +${cwd}/a.env +DATABASE_URL$`, 'm'));
  expect(stdout).toMatch(new RegExp(`^env-file +${cwd}/a.env +flag +CAPE_ENV_FILE$`, 'm'));
  expect(stdout).not.toContain('T0Psecret');
});

test('the database is the one that it names, with a warning where others can read it', async () => {
  const cwd = emptyFolder();
  writeFileSync(join(cwd, 'a.env'), 'DATABASE_URL=postgres://me:T0Psecret@h:x/d\n');
  chmodSync(join(cwd, 'a.env'), 0o644);
  for (const args of [['status'], ['issues', 'list'], ['migrate', '--status']]) {
    const { code, stdout, stderr } = await cli([...args, '--env-file', 'a.env'], { cwd });
    expect(code).toBe(78);
    expect(stderr).toContain(`a.env: others have access to it (mode 644) and it holds DATABASE_URL; chmod 600\n`);
    expect(stderr).toContain('a port must be a number');
    expect(stdout + stderr).not.toContain('T0Psecret');
  }
});

test('a command finds its PATH and what --pass-env names in it', async () => {
  const cwd = emptyFolder();
  mkdirSync(join(cwd, 'tools'));
  symlinkSync('/bin/sh', join(cwd, 'tools', 'my-agent'));
  writeFileSync(join(cwd, 'a.env'), `PATH=${join(cwd, 'tools')}\nCAPE_COMMAND=my-agent\n`);
  const { stdout } = spawnSync(process.execPath, ['--', MAIN, 'check', '--env-file', 'a.env'], {
    cwd,
    env: { HOME: cwd },
    encoding: 'utf8',
  });
  expect(stdout).toMatch(/✓ command: .*my-agent/);
});

test('started by its name, the program and not Node says that the file is missing, and obeys nothing in it', () => {
  const cwd = emptyFolder();
  const bin = join(cwd, 'cape-worker');
  symlinkSync(MAIN, bin);
  const missing = spawnSync(bin, ['config', '--env-file', 'no such.env'], { cwd, encoding: 'utf8' });
  expect(missing).toMatchObject({
    status: 64,
    stdout: '',
    stderr: `cape-worker: --env-file: got "no such.env"; there is no such file; it means ${cwd}/no such.env\n`,
  });
  const env = { ...process.env, CAPE_ENV_FILE: 'no such.env' };
  expect(spawnSync(bin, ['config'], { cwd, env }).status).toBe(78);
  writeFileSync(join(cwd, 'a.env'), 'NODE_OPTIONS=--no-such-option\n');
  expect(execFileSync(bin, ['config', '--env-file=a.env'], { cwd, encoding: 'utf8' })).toContain('a.env');
});

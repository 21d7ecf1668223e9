/** `--service ID`: a command on the database of an installed worker. No service manager is needed: its file tells. */
import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { loadSettings } from '../../src/cli/load-settings.js';
import { findSpec } from '../../src/service/find-spec.js';
import { renderPlist } from '../../src/service/plist.js';
import type { ServiceSpec } from '../../src/service/spec.js';
import { renderUnit } from '../../src/service/unit.js';
import { createTestDatabase } from '../support/database.js';
import { tempFolder } from '../support/worker.js';
import { cli, emptyFolder } from './run-cli.js';

const { uid, gid, username, homedir } = userInfo();
let cwd: string;
let spec: ServiceSpec;
let env: Record<string, string>;

beforeEach(() => {
  cwd = emptyFolder();
  spec = {
    workerId: 'alleycat-1',
    scope: 'user',
    account: { name: username, uid, gid, group: username, home: homedir },
    node: process.execPath,
    program: '/opt/cape-worker/dist/cli/main.js',
    envFile: join(cwd, 'somewhere', 'else.env'),
    workingDir: join(cwd, 'clone'),
    logDir: join(cwd, 'logs'),
    path: '/usr/bin:/bin:/of/the/service',
    harden: false,
    withDatabase: false,
    graceMs: 10_000,
  };
  mkdirSync(join(cwd, 'somewhere'));
  env = { XDG_CONFIG_HOME: join(cwd, 'config') };
  const [folder, name, text] =
    process.platform === 'darwin'
      ? [join(homedir, 'Library/LaunchAgents'), 'com.cape.worker.alleycat-1.plist', renderPlist(spec)]
      : [
          join(cwd, 'config/systemd/user'),
          'cape-worker-alleycat-1.service',
          renderUnit(spec, { version: 252, notify: true }),
        ];
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, name), text);
});

const fill = (text: string, mode = 0o600) => {
  writeFileSync(spec.envFile, text);
  chmodSync(spec.envFile, mode);
};

if (process.platform === 'darwin') console.log('--service is not tested by commands: agents lie in the own home here');

describe.skipIf(process.platform === 'darwin')('--service', () => {
  test('leads to the database of the worker, whatever this shell has set', async () => {
    const { url } = await createTestDatabase();
    fill(`DATABASE_URL='${url}'\n`);
    const wrong = {
      ...env,
      DATABASE_URL: 'postgres://wrong:x@127.0.0.1:1/wrong',
      CAPE_SCHEMA: 'wrong',
      CAPE_ENV_FILE: 'no',
    };
    const added = await cli(['issues', 'add', 'by the operator', '--service', 'alleycat-1'], { cwd, env: wrong });
    expect(added).toMatchObject({ code: 0, stderr: '', stdout: '1\n' });
    const { stdout } = await cli(['issues', 'list', '--service', 'alleycat-1'], { cwd, env });
    expect(stdout).toContain('by the operator');
    const migrated = await cli(['migrate', '--status', '--service', 'alleycat-1', '--json'], { cwd, env });
    expect(migrated.code).toBe(0);
  });

  test('shows the settings as the worker has them: its id, folders seen from its own, its PATH, no password', async () => {
    fill('DATABASE_URL=postgres://me:T0Psecret@h/d\nCAPE_WORKING_DIR=below\nCAPE_LOG_DIR=/var/log/x\nCAPE_LEASE=60\n');
    const { stdout, stderr } = await cli(['config', '--service', 'alleycat-1', '--grace', '3'], {
      cwd,
      env: { ...env, CAPE_LEASE: '90' },
    });
    expect(stderr).toBe('');
    for (const [name, shown, from] of [
      ['database-url', 'postgres://me:***@h/d', spec.envFile],
      ['worker-id', 'alleycat-1', 'flag'],
      ['working-dir', join(cwd, 'clone', 'below'), spec.envFile],
      ['log-dir', '/var/log/x', spec.envFile],
      ['lease', '60', spec.envFile],
      ['grace', '3', 'flag'],
    ] as const) {
      expect(stdout.split('\n').map((line) => line.trim().split(/ {2,}/).slice(0, 3))).toContainEqual([
        name,
        shown,
        from,
      ]);
    }
    mkdirSync(join(cwd, 'clone'));
    const checked = await cli(['check', '--service', 'alleycat-1', '--command', 'no-such-agent'], { cwd, env });
    expect(checked.stdout).toContain('✓ worker id: alleycat-1');
    expect(checked.stdout + stdout).not.toContain('T0Psecret');
  });

  test('is refused in one line for a worker that is not installed, or none at all, and beside --env-file', async () => {
    const { code, stderr } = await cli(['status', '--service', 'alleycat-2'], { cwd, env });
    const why = 'worker alleycat-2 is not installed as a service on this machine; did you mean alleycat-1?';
    expect([code, stderr]).toEqual([1, `cape-worker: ${why}\n`]);
    await expect(loadSettings({ service: '../x' })).rejects.toThrow('--service: got "../x"; must be 1 to 100 letters');
    await expect(loadSettings({ service: 'a', 'env-file': 'x' })).rejects.toMatchObject({
      kind: 'usage',
      message: '--service: got it together with --env-file; choose one of the two',
    });
  });

  test('says where the env file is missing, and who may read it', async () => {
    const missing = await cli(['status', '--service', 'alleycat-1'], { cwd, env });
    expect(missing).toMatchObject({ code: 1 });
    expect(missing.stderr).toBe(
      `cape-worker: --service: its env file ${spec.envFile} is missing or can't be read; cape-worker service install alleycat-1 writes one\n`,
    );
  });

  test('has no database to offer where the file has none and the worker is another user', async () => {
    fill('CAPE_LEASE=60\n');
    const other = { ...spec, account: { ...spec.account, name: 'other', uid: uid + 1 } };
    const file = join(cwd, 'config/systemd/user/cape-worker-alleycat-1.service');
    writeFileSync(file, renderUnit(other, { version: 252, notify: true }));
    const { code, stderr } = await cli(['status', '--service', 'alleycat-1'], { cwd, env });
    expect([code, stderr]).toEqual([
      78,
      `cape-worker: ${spec.envFile}: has no DATABASE_URL, and the embedded Postgres of other is for that user alone\n`,
    ]);
  });
});

describe('the file of a service', () => {
  const host = (root: string, platform: NodeJS.Platform = 'linux') => ({
    platform,
    environment: {},
    uid: 4242,
    home: join(root, 'home'),
    root,
  });

  test('is looked for among the own ones, then among those of the machine', () => {
    const root = tempFolder('cape spec ');
    const system = join(root, 'etc/systemd/system');
    const own = join(root, 'home/.config/systemd/user');
    const unit = (scope: 'user' | 'system') => renderUnit({ ...spec, scope }, { version: 252, notify: true });
    for (const folder of [system, own]) mkdirSync(folder, { recursive: true });
    writeFileSync(join(system, 'cape-worker-alleycat-1.service'), unit('system'));
    writeFileSync(join(own, 'cape-worker-alleycat-1.service'), unit('user'));
    expect(findSpec('alleycat-1', host(root))).toEqual(spec);
    rmSync(own, { recursive: true });
    expect(findSpec('alleycat-1', host(root))).toEqual({ ...spec, scope: 'system' });
    writeFileSync(join(system, 'cape-worker-alleycat-1.service'), '[Service]\nExecStart=/bin/true\n');
    expect(() => findSpec('alleycat-1', host(root))).toThrow(/is not installed as a service/);
  });

  test('is a plist on macOS', () => {
    const root = tempFolder('cape spec ');
    mkdirSync(join(root, 'home/Library/LaunchAgents'), { recursive: true });
    writeFileSync(join(root, 'home/Library/LaunchAgents/com.cape.worker.alleycat-1.plist'), renderPlist(spec));
    expect(findSpec('alleycat-1', host(root, 'darwin'))).toEqual(spec);
    expect(() => findSpec('alleycat-9', host(root, 'darwin'))).toThrow(/did you mean alleycat-1\?$/);
  });
});

if (uid !== 0) console.log('an env file that only another user can read is not tested: this is not root');

test.runIf(uid === 0)('a command that may not read the env file says how to', async () => {
  fill('DATABASE_URL=postgres://me:T0Psecret@h/d\n');
  for (const path of [join(cwd, '..'), cwd]) chmodSync(path, 0o755);
  vi.stubEnv('XDG_CONFIG_HOME', env.XDG_CONFIG_HOME);
  process.seteuid?.(65_534);
  const refused = await loadSettings({ service: 'alleycat-1' }).catch((error) => error);
  process.seteuid?.(0);
  vi.unstubAllEnvs();
  expect(refused).toMatchObject({
    kind: 'refused',
    message: `--service: only root can read ${spec.envFile}; run it by sudo: sudo cape-worker ... --service alleycat-1`,
  });
});

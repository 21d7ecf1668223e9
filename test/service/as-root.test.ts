/** Root that manages a service of the machine: what the service's account may change must not decide what root does. */
import { chownSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { findAccount } from '../../src/service/account.js';
import { runAs } from '../../src/service/as-account.js';
import { writeDown } from '../../src/service/install.js';
import { openManager } from '../../src/service/open-manager.js';
import { type InstallWish, planInstall } from '../../src/service/plan.js';
import { programOf } from '../../src/service/program.js';
import { type FakeMachine, fakeMachine } from './fake-systemd.js';

const PROGRAM = programOf(fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url)), process.execPath);

const reason = process.platform === 'linux' && process.getuid?.() === 0 ? null : 'only root can be tricked';
if (reason !== null) console.log(`skipped: services of the machine as root sees them: ${reason}`);

describe.skipIf(reason !== null)('the log folder of a service of the machine', () => {
  let machine: FakeMachine;

  beforeEach(() => {
    machine = fakeMachine();
  });

  const inside = (path: string) => join(machine.dir, path);

  async function install(more: Partial<InstallWish> = {}) {
    const { host } = machine;
    const wish: InstallWish = {
      ...{ workerId: 'a', scope: 'system', runAs: 'daemon', askPath: false },
      variables: {},
      database: { DATABASE_URL: 'postgres://cape@127.0.0.1:1/cape' },
      ...more,
    };
    const plan = await planInstall(wish, await openManager('system', host), PROGRAM, host);
    const options = { start: false, wait: false, renew: false, doubts: [], say: () => {}, onState: () => {} };
    await writeDown(plan, host, options);
  }

  test('is made and given away by root where root named it', async () => {
    await install({ logDir: inside('var/log/cape-worker') });
    const { uid, mode } = statSync(inside('var/log/cape-worker'));
    expect([uid, mode & 0o777]).toEqual([1, 0o750]);
  });

  test('is not made by root where only the env file names it, which is the account’s', async () => {
    await install({ logDir: inside('var/log/cape-worker') });
    const envFile = inside('etc/cape-worker/a.env');
    mkdirSync(inside('etc/systemd/system'), { recursive: true });
    const wanted = inside('etc/systemd/system/ssh.service.d');
    writeFileSync(envFile, readFileSync(envFile, 'utf8').replace(/^CAPE_LOG_DIR=.*$/m, `CAPE_LOG_DIR='${wanted}'`));
    await expect(install({ logDir: undefined, database: {} })).rejects.toThrow(
      /ssh\.service\.d can't be made.*--log-dir/,
    );
    expect(existsSync(wanted)).toBe(false);
  });

  test('is not made by root where a link of the account’s leads, though it was installed with that name', async () => {
    const logs = inside('own/system/ssh.service.d');
    mkdirSync(logs, { recursive: true });
    for (const folder of [inside('own'), inside('own/system'), logs]) chownSync(folder, 1, 1);
    await install({ logDir: logs });
    rmSync(inside('own/system'), { recursive: true });
    mkdirSync(inside('etc/systemd/system'), { recursive: true });
    symlinkSync(inside('etc/systemd/system'), inside('own/system'));
    // A folder of root's, by its own owner: the link is further up.
    mkdirSync(inside('etc/systemd/system/ssh.service.d'));
    await expect(install({ logDir: join(logs, 'made') })).rejects.toThrow(/made can't be made/);
    expect(existsSync(inside('etc/systemd/system/ssh.service.d/made'))).toBe(false);
  });
});

test.skipIf(reason !== null)('root’s environment is not handed to what runs as the account', async () => {
  const { host } = fakeMachine();
  vi.stubEnv('DATABASE_URL', 'postgres://cape:secret@db/cape');
  const account = await findAccount('daemon', host);
  const { stdout } = await runAs(account, { ...host, environment: { ...process.env } }, 'env', []);
  vi.unstubAllEnvs();
  expect(stdout).toMatch(/^PATH=/m);
  expect(stdout).not.toContain('secret');
});

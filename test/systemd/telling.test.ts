/**
 * What a worker tells systemd, and what systemd does with it, by a unit that no installation wrote. Draining past the
 * limit and the watchdog: in system.test.ts.
 */
import { dirname } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { renderUnit } from '../../src/service/unit.js';
import { until } from '../support/until.js';
import { reasonNotToBoot } from './can-boot.js';
import { CLONE, Guest, HOME, NEWCOMER, say, seconds } from './guest.js';

const UNIT = 'cape-worker-teller.service';
const PROGRAM = `${CLONE}/dist/cli/main.js`;
const ENV_FILE = '/etc/cape-worker/teller.env';

/** As `cape-worker-postgres.service` will be, as far as the worker can see. */
const DATABASE_UNIT = `[Service]
Type=oneshot
RemainAfterExit=yes
User=${NEWCOMER}
ExecStart="${process.execPath}" "${PROGRAM}" db start
ExecStop="${process.execPath}" "${PROGRAM}" db stop
[Install]
WantedBy=multi-user.target
`;

const reason = reasonNotToBoot();

describe.skipIf(reason !== null)('a worker as a unit of Type=notify', () => {
  let guest: Guest;
  const systemctl = (...args: string[]) => guest.run('systemctl', ...args);
  const property = (name: string) => guest.property(UNIT, name);
  const cape = (words: string) => guest.runAs(NEWCOMER, `CAPE_ENV_FILE=${ENV_FILE} node "${PROGRAM}" ${words}`);

  async function issue(id: number): Promise<Record<string, unknown>> {
    return JSON.parse((await cape(`issues show ${id} --json`)).stdout);
  }
  async function add(script: string): Promise<number> {
    const { stdout } = await cape(`issues add '${script}' --json`);
    return JSON.parse(stdout).id ?? JSON.parse(stdout)[0].id;
  }
  const says = (pattern: RegExp, timeoutMs = 30_000) =>
    until(async () => pattern.test(await property('StatusText')), { timeoutMs, what: `STATUS like ${pattern}` });
  async function running(): Promise<number> {
    const id = await add('echo began; sleep 600');
    await says(new RegExp(`^issue ${id} attempt`));
    return id;
  }
  async function dropIn(...lines: string[]): Promise<void> {
    await guest.write(`/etc/systemd/system/${UNIT}.d/test.conf`, `[Service]\n${lines.join('\n')}\n`);
    await systemctl('daemon-reload');
  }

  beforeAll(async () => {
    guest = await Guest.boot();
    await guest.write('/etc/systemd/system/cape-worker-postgres.service', DATABASE_UNIT);
    const account = { name: NEWCOMER, uid: 0, gid: 0, group: NEWCOMER, home: HOME };
    const spec = {
      ...({ workerId: 'teller', scope: 'system', account, node: process.execPath, program: PROGRAM } as const),
      ...{ envFile: ENV_FILE, workingDir: HOME, logDir: `${HOME}/logs`, harden: false, withDatabase: true },
      ...{ path: `${dirname(process.execPath)}:/usr/bin:/bin`, graceMs: 2000 },
    };
    await guest.write(`/etc/systemd/system/${UNIT}`, renderUnit(spec, { version: 252, notify: true }));
    await systemctl('daemon-reload');
    await systemctl('enable', '--now', 'cape-worker-postgres.service');
    const { stdout: url } = await guest.runAs(NEWCOMER, `node "${PROGRAM}" db url`);
    const command = `sh -c 'exec sh -c "$0"' {description}`;
    await guest.write(
      ENV_FILE,
      `DATABASE_URL=${url}\nCAPE_LOG_DIR=${HOME}/logs\nCAPE_COMMAND=${command}\nCAPE_GRACE=2\n`,
    );
    await guest.run('chown', NEWCOMER, ENV_FILE);
    await guest.run('chmod', '600', ENV_FILE);
    await systemctl('enable', UNIT);
  });
  beforeEach(async ({ onTestFailed }) => {
    onTestFailed(async () =>
      say((await guest.try('systemctl', 'status', '--no-pager', '--full', '--lines=30', UNIT)).all),
    );
    await dropIn();
    await systemctl('start', UNIT);
    await says(/^idle/);
  });
  afterAll(() => guest.close());

  test('is up when it says so, and systemctl status shows what it does', async () => {
    await systemctl('stop', UNIT);
    const began = performance.now();
    await systemctl('start', UNIT);
    say(`systemctl start took ${seconds(performance.now() - began)}`);
    expect(await property('ActiveState')).toBe('active');
    await says(/^idle, 0 done since start$/);
    const id = await add('sleep 3');
    await says(new RegExp(`^issue ${id} attempt 1 since \\d\\d:\\d\\d, 0 done since start$`));
    say((await guest.run('systemctl', 'status', '--no-pager', '--lines=0', UNIT)).stdout);
    await says(/^idle, 1 done since start$/);
  });

  test('waits for its database, and is up meanwhile', async () => {
    await systemctl('stop', UNIT);
    await systemctl('stop', 'cape-worker-postgres.service');
    const began = performance.now();
    await systemctl('start', '--job-mode=ignore-dependencies', UNIT);
    say(`systemctl start took ${seconds(performance.now() - began)} without a database`);
    say(`StatusText=${await property('StatusText')}`);
    await says(/^waiting for the database since .*: the database .*is out of reach/);
    await systemctl('start', 'cape-worker-postgres.service');
    await says(/^idle/);
  });

  test('does not hold up a reboot, not even one in the middle of a drain, and what ran is pending again at no charge', async () => {
    const id = await running();
    await systemctl('stop', '--no-block', UNIT);
    await says(/^draining/);
    const took = await guest.reboot();
    say(`rebooted in ${seconds(took)} while issue ${id} was drained`);
    expect(took).toBeLessThan(45_000);
    say((await guest.run('journalctl', '--no-pager', '-u', UNIT, '-b', '-1', '-n', '9', '-o', 'short')).stdout);
    await says(new RegExp(`^issue ${id} attempt 2`));
    expect(await issue(id)).toMatchObject({ status: 'started', failures: 0, crashes: 0 });
  });
});

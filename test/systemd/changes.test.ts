/** Services of the machine that are changed, upgraded, rebooted and removed. The tests build on each other, in this order. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { until } from '../support/until.js';
import { reasonNotToBoot } from './can-boot.js';
import { CLONE, Guest, HOME, NEWCOMER, say, seconds } from './guest.js';
import { COMMAND, Stage } from './stage.js';

const UNIT = 'cape-worker-alleycat-1.service';
const ENV_FILE = '/etc/cape-worker/alleycat-1.env';

/** Gives the database's role the password "rotated". */
const ROTATE = `
  import { readFileSync } from 'node:fs';
  import dotenv from 'dotenv';
  import postgres from 'postgres';
  const sql = postgres(dotenv.parse(readFileSync('/etc/cape-worker/alleycat-2.env')).DATABASE_URL);
  await sql.unsafe("alter role cape password 'rotated'");
  await sql.end();
`;

describe.skipIf(reasonNotToBoot() !== null)('an installed service of the machine', { sequential: true }, () => {
  let guest: Guest;
  let stage: Stage;
  beforeAll(async () => {
    guest = await Guest.boot();
    stage = new Stage(guest, 'alleycat-1');
    await stage.prepare();
    expect((await stage.install('alleycat-1', `--with-database --command ${COMMAND} --grace 2s`)).code).toBe(0);
  });
  afterAll(() => guest?.close());

  const property = (name: string, unit = UNIT) => guest.property(unit, name);
  const restarts = async () => Number(await property('NRestarts'));
  const journal = async (unit = UNIT) => (await guest.run('journalctl', '--no-pager', '-u', unit)).stdout;

  test('shows what a changed setting changes, and restarts when the running issue has ended', async () => {
    const id = await stage.add('sleep 5');
    await stage.started(id);
    const before = await stage.pid(UNIT);
    const { code, all } = await stage.install('alleycat-1', '--concurrency 2');
    expect({ code, all }).toEqual({ code: 0, all: expect.stringMatching(/^\+ CAPE_CONCURRENCY=2$/m) });
    expect(await stage.pid(UNIT)).not.toBe(before);
    expect(await stage.ended(id)).toMatchObject({ status: 'completed', attempt: 1 });
    expect(await guest.read(ENV_FILE)).toMatch(/^CAPE_GRACE=2s$/m);
  });

  test('shares its database with a second worker, which is listed beside it', async () => {
    expect((await stage.install('alleycat-2', `--with-database --command ${COMMAND}`)).code).toBe(0);
    expect((await stage.cape('service list')).stdout).toMatch(/alleycat-1(.|\n)*alleycat-2/);
    expect((await stage.cape('service status alleycat-2')).code).toBe(0);
    const { stdout: workers } = await stage.cape('workers --service alleycat-1');
    expect(workers).toMatch(/alleycat-1(.|\n)*alleycat-2/);
  });

  test('lives through the death of its database, which systemd brings back', async () => {
    const [worker, server] = [await stage.pid(UNIT), await stage.pid('cape-worker-postgres.service')];
    const id = await stage.add('sleep 3');
    await stage.started(id);
    await guest.run('kill', '-9', String(server));
    await stage.back('cape-worker-postgres.service', server);
    expect(await stage.ended(id)).toMatchObject({ status: 'completed', attempt: 1 });
    expect(await stage.pid(UNIT)).toBe(worker);
  });

  test('is restarted by an upgrade where the program is newer than the process', async () => {
    const before = await stage.pid(UNIT);
    expect((await stage.cape('service upgrade alleycat-1')).code).toBe(0);
    expect(await stage.pid(UNIT)).toBe(before);
    await guest.run('touch', `${CLONE}/dist/cli/main.js`);
    expect((await stage.cape('service upgrade alleycat-1')).code).toBe(0);
    expect(await stage.pid(UNIT)).not.toBe(before);
  });

  test('tries again as long as its login is refused, and takes a new password at its next start', async () => {
    const env = (await guest.read(ENV_FILE))!;
    await guest.write(ENV_FILE, env.replace(/:[0-9a-f]{48}@/, ':rotated@'));
    const before = await restarts();
    await guest.run('systemctl', 'restart', '--no-block', UNIT);
    await until(async () => (await restarts()) >= before + 2, { timeoutMs: 60_000, what: 'two more tries' });
    const ends = (await journal()).split('\n').filter((line) => line.includes('status=69'));
    expect(ends.length).toBeGreaterThanOrEqual(2);
    say(ends.join('\n'));
    // Whoever has the old one may still come in, and change it.
    await guest.write('/root/rotate.mjs', ROTATE);
    await guest.run('sh', '-c', `cd "${CLONE}" && node --input-type=module < /root/rotate.mjs`);
    await until(async () => (await property('ActiveState')) === 'active', {
      timeoutMs: 60_000,
      what: 'to be up again',
    });
    await guest.run('sed', '-i', 's/:[0-9a-f]\\{48\\}@/:rotated@/', '/etc/cape-worker/alleycat-2.env');
    expect((await stage.cape('issues add --wait "after the rotation" --service alleycat-1')).code).toBe(0);
    // The password with which the database was made is not put back.
    expect((await stage.install('alleycat-1')).all).toMatch(/nothing to change/);
    expect(await guest.read(ENV_FILE)).toMatch(/:rotated@/);
  });

  test('is not started again for a setting that is wrong', async () => {
    const env = (await guest.read(ENV_FILE))!;
    await guest.write(ENV_FILE, `${env}\nCAPE_TIMEOUT=soon\n`);
    await guest.try('systemctl', 'restart', UNIT);
    expect(await property('ActiveState')).toBe('failed');
    expect(await property('ExecMainStatus')).toBe('78');
    say((await journal()).split('\n').findLast((line) => line.includes('CAPE_TIMEOUT'))!);
    await guest.write(ENV_FILE, env);
    await guest.run('systemctl', 'start', UNIT);
  });

  test('comes back by itself when the machine does, with its database', async () => {
    say(`rebooted in ${seconds(await guest.reboot())}`);
    await stage.back(UNIT, 0);
    expect((await stage.cape('issues add --wait "after the reboot" --service alleycat-1')).code).toBe(0);
  });

  test('does not hold up a reboot by a running issue, which is charged nothing', async () => {
    const id = await stage.add('sleep 100');
    await stage.started(id);
    const took = await guest.reboot();
    say(`rebooted in ${seconds(took)} while issue ${id} was running`);
    expect(took).toBeLessThan(20_000);
    await stage.started(id, 2);
    expect(await stage.issue(id)).toMatchObject({ status: 'started', attempt: 2, failures: 0, crashes: 0 });
    await stage.cape(`issues cancel ${id} --service alleycat-1`);
  });

  test('leaves the other one alone when it is uninstalled, and the logs where they are', async () => {
    const { code } = await stage.cape('service uninstall alleycat-1');
    expect(code).toBe(0);
    expect(await guest.read(ENV_FILE)).toBeNull();
    expect((await guest.try('systemctl', 'cat', UNIT)).code).not.toBe(0);
    expect((await guest.run('ls', `${CLONE}/logs`)).stdout).toMatch(/worker_alleycat-1/);
    // After the reboot it may still be starting.
    await until(async () => (await property('ActiveState', 'cape-worker-alleycat-2.service')) === 'active', {
      timeoutMs: 60_000,
      what: 'the second worker to be up',
    });
    expect(await property('ActiveState', 'cape-worker-postgres.service')).toBe('active');
  });

  test('leaves nothing when the last one is purged', async () => {
    expect((await stage.cape('service uninstall alleycat-2 --purge')).code).toBe(0);
    const { stdout: left } = await guest.run(
      'sh',
      '-c',
      `find /etc /var/lib /var/log /run /usr/local "${HOME}/.config" "${HOME}/.local" -iname '*cape*' 2> /dev/null
       systemctl list-units --all --plain --no-legend '*cape*'; getent passwd cape-postgres
       pgrep -u ${NEWCOMER} -a | grep -v -e 'systemd --user' -e '(sd-pam)'; true`,
    );
    expect(left).toBe('');
    // The first one was not purged.
    expect((await guest.run('ls', '-A', `${CLONE}/logs`)).stdout).not.toMatch(/alleycat-2/);
  });
});

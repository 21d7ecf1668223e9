/** A service of the machine, from a newcomer's first command on: seen, used, killed, hung. The tests build on each other. */
import { availableParallelism, loadavg } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { until } from '../support/until.js';
import { reasonNotToBoot } from './can-boot.js';
import { CLONE, Guest, NEWCOMER, say, seconds } from './guest.js';
import { COMMAND, Stage } from './stage.js';

const UNIT = 'cape-worker-alleycat-1.service';
const ENV_FILE = '/etc/cape-worker/alleycat-1.env';

describe.skipIf(reasonNotToBoot() !== null)('a service of the machine', { sequential: true }, () => {
  let guest: Guest;
  let stage: Stage;
  beforeAll(async () => {
    guest = await Guest.boot();
    stage = new Stage(guest, 'alleycat-1');
    await stage.prepare();
  });
  afterAll(() => guest?.close());

  const property = (name: string, unit = UNIT) => guest.property(unit, name);
  const restarts = async () => Number(await property('NRestarts'));
  const journal = async (unit = UNIT) => (await guest.run('journalctl', '--no-pager', '-u', unit)).stdout;

  test('is installed by one command of a fresh user, in less than 15 s', async () => {
    const began = performance.now();
    const { code } = await stage.install('alleycat-1', `--with-database --command ${COMMAND} --grace 2s`);
    const took = performance.now() - began;
    say(`from a clone after npm ci to a running service: ${seconds(took)}`);
    expect(code).toBe(0);
    expect(await property('ActiveState')).toBe('active');
    expect(await property('User')).toBe(NEWCOMER);
    expect((await guest.run('stat', '-c', '%a %U', ENV_FILE)).stdout).toBe(`600 ${NEWCOMER}`);
    // A busy machine proves nothing.
    expect(took).toBeLessThan(loadavg()[0]! > availableParallelism() ? 90_000 : 15_000);
  });

  test('says that it is ready, and what it does, in systemctl status', async () => {
    const { all } = await stage.type(`systemctl status --no-pager ${UNIT}`);
    expect(all).toMatch(/Active: active \(running\)/);
    expect(await property('Type')).toBe('notify');
    expect(await property('StatusText')).not.toBe('');
    const id = await stage.add('sleep 2');
    await stage.started(id);
    await until(async () => (await property('StatusText')).includes(String(id)), {
      what: 'the status to name the issue',
    });
    say(`Status: ${await property('StatusText')}`);
    await stage.ended(id);
  });

  test('completes an issue that the operator adds', async () => {
    const { stdout, code } = await stage.cape('issues add --wait "hello" --service alleycat-1');
    expect(code, stdout).toBe(0);
  });

  test('is not touched by a second installation that changes nothing', async () => {
    const before = await stage.pid(UNIT);
    const { code, all } = await stage.install('alleycat-1');
    expect({ code, all }).toEqual({ code: 0, all: expect.stringMatching(/nothing to change/) });
    expect(await stage.pid(UNIT)).toBe(before);
  });

  test('keeps the password of its database out of everything that others may read', async () => {
    const password = /:([0-9a-f]{48})@/.exec((await guest.read(ENV_FILE))!)![1]!;
    const places = {
      'the unit': (await guest.run('systemctl', 'cat', UNIT)).stdout,
      'systemctl show': (await guest.run('systemctl', 'show', UNIT, 'cape-worker-postgres.service')).stdout,
      'the journal': (await guest.run('journalctl', '--no-pager')).stdout,
      'all command lines': (await guest.run('sh', '-c', 'cat /proc/[0-9]*/cmdline | tr "\\0" " "')).stdout,
      "the worker's environment": (await guest.run('cat', `/proc/${await stage.pid(UNIT)}/environ`)).stdout,
      'its logs': (await guest.run('sh', '-c', `cat '${CLONE}'/logs/*.log`)).stdout,
    };
    for (const [place, text] of Object.entries(places)) {
      expect(text.length, place).toBeGreaterThan(0);
      expect(text.includes(password), place).toBe(false);
    }
  });

  test('obeys the commands that have been documented for years', async () => {
    for (const command of [
      `sudo systemctl stop ${UNIT}`,
      `sudo systemctl start ${UNIT}`,
      `sudo systemctl restart cape-worker-alleycat-1`,
      `sudo systemctl is-enabled ${UNIT}`,
      `sudo journalctl -u ${UNIT} -n 3 --no-pager`,
      `timeout 2 sudo journalctl -u cape-worker-alleycat-1 -f | head -n 2`,
    ])
      expect((await stage.type(command)).code, command).toBe(0);
    expect(await property('ActiveState')).toBe('active');
  });

  test('is brought back by systemd after kill -9, and runs the issue once more at most', async () => {
    const [before, count] = [await stage.pid(UNIT), await restarts()];
    const id = await stage.add('sleep 4');
    const command = await stage.started(id);
    await guest.run('kill', '-9', String(before));
    await until(async () => !(await stage.isAlive(command)), { what: 'the end of the command' });
    say(`worker ${before} and its command ${command} are gone; now ${await stage.back(UNIT, before)}`);
    expect(await restarts()).toBe(count + 1);
    const { status, attempt } = await stage.ended(id);
    expect({ status, attempt }).toEqual({ status: 'completed', attempt: 2 });
  });

  test('ends what has left its process group, its environment and its output', async () => {
    const id = await stage.add('stray');
    await stage.ended(id);
    await until(async () => (await guest.try('pgrep', '-f', 'sleep 100001')).code === 1, { what: 'no child left' });
    say((await guest.run('systemd-cgls', '--no-pager', '-u', UNIT)).stdout);
  });

  test('lets a running issue end before it stops, past the time that systemd gives others', async () => {
    await stage.dropIn(UNIT, 'TimeoutStopSec=4');
    const id = await stage.add('sleep 9');
    await stage.started(id);
    const began = performance.now();
    await stage.type(`sudo systemctl stop ${UNIT}`);
    const took = performance.now() - began;
    say(`TimeoutStopSec=4, stopped after ${seconds(took)}; result: ${await property('Result')}`);
    expect(took).toBeGreaterThan(5000);
    expect(await property('Result')).toBe('success');
    expect(await stage.ended(id)).toMatchObject({ status: 'completed', attempt: 1 });
    await stage.type(`sudo systemctl start ${UNIT}`);
  });

  test('is killed by the watchdog where its loop hangs, and brought back', async () => {
    await stage.dropIn(UNIT, 'WatchdogSec=5');
    await guest.run('systemctl', 'restart', UNIT);
    const before = await stage.pid(UNIT);
    // Longer than the limit, and nothing happens: it says that it lives.
    await sleep(6000);
    expect(await stage.pid(UNIT)).toBe(before);
    await guest.run('kill', '-STOP', String(before));
    await stage.back(UNIT, before);
    const [line] = (await journal()).split('\n').filter((each) => /watchdog timeout/i.test(each));
    say(line!);
    await guest.run('rm', '-r', `/etc/systemd/system/${UNIT}.d`);
    await guest.run('systemctl', 'daemon-reload');
  });
});

/** A service of one user: no root, a start at boot without a login, and nothing left behind. In this order. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { until } from '../support/until.js';
import { reasonNotToBoot } from './can-boot.js';
import { Guest, HOME, NEWCOMER, say, seconds } from './guest.js';
import { COMMAND, Stage } from './stage.js';

const UNIT = 'cape-worker-alleycat-1.service';

describe.skipIf(reasonNotToBoot() !== null)('a service of a user', () => {
  let guest: Guest;
  let stage: Stage;
  beforeAll(async () => {
    guest = await Guest.boot();
    stage = new Stage(guest, 'alleycat-1', 'user');
    await stage.prepare();
  });
  afterAll(() => guest?.close());

  const state = async (unit = UNIT) => (await guest.tryAs(NEWCOMER, `systemctl --user is-active ${unit}`)).stdout;
  const lingers = async () => (await guest.read(`/var/lib/systemd/linger/${NEWCOMER}`)) !== null;

  test('is installed without root, with a database of its own, and lingers from then on', async () => {
    expect((await stage.install('alleycat-1', `--with-database --command ${COMMAND}`)).code).toBe(0);
    await stage.type(`systemctl --user status --no-pager -n 3 ${UNIT}`);
    expect(await state()).toBe('active');
    expect(await lingers()).toBe(true);
    expect((await stage.cape('issues add --wait "hello" --service alleycat-1')).code).toBe(0);
  });

  test("has a database that the user's own commands reach without being told", async () => {
    const { stdout } = await stage.cape('issues list');
    expect(stdout).toMatch(/completed .* hello/);
    expect(await state('cape-worker-postgres.service')).toBe('active');
    const { code, all } = await stage.cape('db stop');
    expect({ code, all }).toEqual({
      code: 1,
      all: expect.stringMatching(/systemctl --user stop cape-worker-postgres/),
    });
  });

  test('runs after a reboot though nobody has logged in', async () => {
    say(`rebooted in ${seconds(await guest.reboot())}`);
    // Without a session of the user's: only root looks.
    const seen = await until(async () => (await guest.try('pgrep', '-u', NEWCOMER, '-f', 'run --worker-id')).stdout, {
      timeoutMs: 60_000,
      what: 'the worker',
    });
    say(`pid ${seen}; sessions: ${(await guest.run('loginctl', 'list-sessions', '--no-legend')).stdout || 'none'}`);
    await until(async () => (await state()) === 'active', { timeoutMs: 60_000, what: 'readiness' });
    expect((await stage.cape('issues add --wait "after the reboot" --service alleycat-1')).code).toBe(0);
  });

  test('leaves nothing but its data when it is purged, and the lingering as it was found', async () => {
    expect((await stage.cape('service uninstall alleycat-1 --purge')).code).toBe(0);
    expect(await lingers()).toBe(false);
    const { stdout: left } = await guest.run('find', `${HOME}/.config`, `${HOME}/.local`, '-iname', '*cape*');
    expect(left.split('\n').filter((path) => path !== `${HOME}/.local/share/cape-worker`)).toEqual([]);
    expect((await guest.try('pgrep', '-u', NEWCOMER, '-f', 'cape')).stdout).toBe('');
  });

  test('leaves lingering on where somebody else had switched it on', async () => {
    await guest.run('loginctl', 'enable-linger', NEWCOMER);
    expect((await stage.install('alleycat-1', `--with-database --command ${COMMAND}`)).code).toBe(0);
    expect((await stage.cape('service uninstall alleycat-1')).code).toBe(0);
    expect(await lingers()).toBe(true);
  });
});

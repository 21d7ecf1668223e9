/** The machine that the other tests here work on. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { reasonNotToBoot } from './can-boot.js';
import { CLONE, Guest, NEWCOMER, say, seconds } from './guest.js';

const reason = reasonNotToBoot();

test('says why no systemd can be booted here, if so', () => {
  if (reason !== null) console.log(`skipped: the tests on a booted systemd: ${reason}`);
  expect(reason).not.toBe('');
});

describe.skipIf(reason !== null)('a booted systemd', () => {
  let guest: Guest;
  beforeAll(async () => {
    guest = await Guest.boot();
  });
  afterAll(() => guest.close());

  test('runs nothing of this machine and knows a newcomer, who has a clone and may use sudo', async () => {
    const { stdout: running } = await guest.run(
      'systemctl',
      'list-units',
      '--type=service',
      '--state=running',
      '--plain',
    );
    say(running);
    expect(running).not.toMatch(/postgres|docker|cron|ssh/);
    const { stdout } = await guest.runAs(
      NEWCOMER,
      `cd "${CLONE}" && pwd && node dist/cli/main.js --version && sudo id -un`,
    );
    expect(stdout).toMatch(new RegExp(`^${CLONE}\n\\S+\nroot$`));
  });

  test('comes up again after a reboot, with what was written before', async () => {
    await guest.write('/etc/kept', 'still here');
    say(`rebooted in ${seconds(await guest.reboot())}`);
    expect(await guest.read('/etc/kept')).toBe('still here');
  });
});

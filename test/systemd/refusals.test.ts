/** What is refused, and what does not come up: said at once, in words that tell what to do. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { reasonNotToBoot } from './can-boot.js';
import { CLONE, Guest, say } from './guest.js';
import { COMMAND, Stage } from './stage.js';

describe.skipIf(reasonNotToBoot() !== null)('an installation that can not be', () => {
  let guest: Guest;
  let stage: Stage;
  beforeAll(async () => {
    guest = await Guest.boot();
    stage = new Stage(guest, 'alleycat-1');
    await stage.prepare();
  });
  afterAll(() => guest?.close());

  const units = async () => (await guest.run('sh', '-c', "find /etc /var/lib -name '*cape*'")).stdout;

  test('without a database it is refused, and nothing is written', async () => {
    const { code, all } = await stage.install('alleycat-1', `--command ${COMMAND}`);
    expect({ code, all }).toEqual({ code: 78, all: expect.stringMatching(/DATABASE_URL.*--with-database/) });
    expect(await units()).toBe('');
  });

  test('as root, with nobody behind it, it is refused unless that is meant', async () => {
    const { code, all } = await guest.try(
      'node',
      `${CLONE}/dist/cli/main.js`,
      'service',
      'install',
      'a',
      '--with-database',
    );
    say(all);
    expect({ code, all }).toEqual({ code: 64, all: expect.stringMatching(/--allow-root/) });
    expect(await units()).toBe('');
  });

  test('of a worker that cannot start it shows the end of the log, and fails', async () => {
    // It may not bring the tables up to date, and there are none.
    const options = `--with-database --command ${COMMAND} --no-migrate`;
    const { code, all } = await stage.install('alleycat-1', options);
    expect(code).toBe(1);
    expect(all).toMatch(/the schema public lacks 001_issues/);
    expect(all).toMatch(/cape-worker-alleycat-1.service did not come up: .*exit code 69/);
  });

  test('and with the cause mended the same command goes on from there', async () => {
    expect((await stage.install('alleycat-1', '--migrate')).code).toBe(0);
  });
});

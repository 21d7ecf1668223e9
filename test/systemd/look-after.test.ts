/** Looking after a service by the program's own commands: status, list, logs, start, stop, restart. In this order. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { reasonNotToBoot } from './can-boot.js';
import { CLONE, Guest, HOME } from './guest.js';
import { COMMAND, Stage } from './stage.js';

const UNIT = 'cape-worker-alleycat-1.service';
const FILE = `${HOME}/.config/systemd/user/${UNIT}`;
/** Types Ctrl-C once it has said so much. As a terminal does it: to the whole group in front, systemctl included. */
const interrupted = (words: string, said: string) =>
  `set -m; node "${CLONE}/dist/cli/main.js" ${words} > said 2>&1 & ` +
  `until grep -q '${said}' said; do sleep 0.1; done; kill -INT -- -$!; wait $!; code=$?; cat said; exit $code`;

describe.skipIf(reasonNotToBoot() !== null)('a service that is looked after', () => {
  let guest: Guest;
  let stage: Stage;
  beforeAll(async () => {
    guest = await Guest.boot();
    stage = new Stage(guest, 'alleycat-1', 'user');
    await stage.prepare();
    await stage.install('alleycat-1', `--with-database --command ${COMMAND}`);
  });
  afterAll(() => guest?.close());

  test('tells what it works on, since when, and how it is', async () => {
    const id = await stage.add('sleep 15');
    await stage.started(id);
    const { code, stdout } = await stage.cape('service status');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^state +running since .*, pid \d+$/m);
    expect(stdout).toMatch(new RegExp(`^issues +${id}, attempt 1, since `, 'm'));
    expect(stdout).toContain(`issue ${id}: attempt 1 started`);
    expect(stdout).not.toMatch(/^!/m);
    expect((await stage.cape('service list')).stdout).toMatch(/^alleycat-1 +user +running +yes +\d+ /m);
  });

  test('is stopped after its issue; Ctrl-C ends only the waiting', async () => {
    const id = (await stage.ledger()).at(-1)?.issue ?? 0;
    const { code, all } = await stage.type(interrupted('service stop alleycat-1', 'waits for'));
    expect({ code, all }).toEqual({ code: 130, all: expect.stringContaining(`waits for issue ${id}, attempt 1`) });
    expect(all).toContain('no longer waited for; stopping goes on');
    const { code: down, stdout } = await stage.cape('service status alleycat-1 -n 0');
    expect({ down, stdout }).toEqual({ down: 1, stdout: expect.stringMatching(/^state +stopping /m) });
    expect((await stage.cape('service stop alleycat-1')).code).toBe(0);
    expect(await stage.ended(id)).toMatchObject({ status: 'completed', attempt: 1 });
  });

  test('is started again, and a restart that is to be now gives its issue back uncharged', async () => {
    expect(await stage.cape('service start alleycat-1')).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/: started, pid \d+, seen in the database$/),
    });
    const id = await stage.add('sleep 60');
    await stage.started(id);
    expect(await stage.cape('service restart alleycat-1 --now')).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/: restarted, pid \d+, seen in the database$/),
    });
    await stage.started(id, 2);
    expect(await stage.issue(id)).toMatchObject({ attempt: 2, failures: 0, crashes: 0 });
    await stage.cape(`issues cancel ${id} --service alleycat-1`);
  });

  test('is told what is to be mended, and an upgrade mends it', async () => {
    await guest.run('sed', '-i', 's#/[^ "]*/node#/opt/gone/node#', FILE);
    await guest.run('chmod', '644', `${HOME}/.config/cape-worker/alleycat-1.env`);
    const { code, stdout } = await stage.cape('service status --diff -n 0');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^! Node \/opt\/gone\/node is gone/m);
    expect(stdout).toMatch(/^! env file .* has mode 0644/m);
    expect(stdout).toMatch(/^- ExecStart=\/opt\/gone\/node /m);
    expect((await stage.cape('service upgrade')).code).toBe(0);
    expect((await stage.cape('service status -n 0')).stdout).not.toMatch(/^!/m);
  });

  test('follows its log, and knows a name that is mistyped', async () => {
    const { all } = await stage.type(interrupted('service logs alleycat-1 -f -n 20', 'is ready'));
    expect(all).toContain('worker alleycat-1 is ready');
    expect(await stage.cape('service stop aleycat-1')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('did you mean alleycat-1?'),
    });
  });
});

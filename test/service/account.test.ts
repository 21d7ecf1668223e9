import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type AccountWish, chooseAccount, findAccount } from '../../src/service/account.js';
import type { Host } from '../../src/service/host.js';
import type { Account } from '../../src/service/spec.js';

/** As the machine's own list; `getent` takes a name or a uid. */
const GETENT = `#!/bin/sh
[ "$1" = group ] && { echo "group$2:x:$2:"; exit; }
line=$(awk -F: -v who="$2" '$1 == who || $3 == who' "$(dirname "$0")/passwd")
[ -n "$line" ] || exit 2
echo "$line"
`;

let dir: string;

beforeAll(() => {
  dir = realpathSync(mkdtempSync(join(tmpdir(), 'cape-account-')));
  mkdirSync(join(dir, 'home'));
  writeFileSync(join(dir, 'getent'), GETENT);
  chmodSync(join(dir, 'getent'), 0o755);
  const line = (name: string, uid: number, home: string, shell: string) =>
    `${name}:x:${uid}:${uid}::${home}:${shell}\n`;
  const home = join(dir, 'home');
  writeFileSync(
    join(dir, 'passwd'),
    [
      line('root', 0, home, '/bin/bash'),
      line('ada', 1000, home, '/bin/bash'),
      line('daemon-only', 1001, home, '/usr/sbin/nologin'),
      line('homeless', 1002, join(dir, 'gone'), '/bin/sh'),
    ].join(''),
  );
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

function host(more: Partial<Host> = {}, environment: Host['environment'] = {}): Host {
  const path = `${dir}:${process.env.PATH}`;
  return { platform: 'linux', uid: 0, home: '/root', root: '', ...more, environment: { PATH: path, ...environment } };
}

const wish = (more: Partial<AccountWish> = {}): AccountWish => ({
  scope: 'system',
  runAs: undefined,
  allowRoot: false,
  installed: null,
  ...more,
});

async function nameFor(more: Partial<AccountWish>, environment: Host['environment'] = {}, uid = 0): Promise<string> {
  return (await chooseAccount(wish(more), host({ uid }, environment))).name;
}

describe('an account', () => {
  test('is found by name and by uid, with its group, home and shell', async () => {
    const ada = { name: 'ada', uid: 1000, gid: 1000, group: 'group1000', home: join(dir, 'home'), shell: '/bin/bash' };
    expect(await findAccount('ada', host())).toEqual(ada);
    expect(await findAccount(1000, host())).toEqual(ada);
  });

  test('may have no shell that a person could use', async () => {
    expect((await findAccount('daemon-only', host())).shell).toBeNull();
  });

  test.each(['nobody-here', '-v', 'a b', 'a:b', '', '../x'])('that is not there is refused: "%s"', async (name) => {
    await expect(findAccount(name, host())).rejects.toThrow(`--run-as: got "${name}"; this machine knows no such user`);
  });

  test('without a home is refused', async () => {
    await expect(findAccount('homeless', host())).rejects.toThrow(/the home of homeless is .*gone, which is no folder/);
  });
});

describe('a service of the machine runs as', () => {
  const installed = (name: string, uid: number): Account => ({ name, uid, gid: uid, group: name, home: '/' });

  test('the one who is named', async () => {
    expect(await nameFor({ runAs: 'daemon-only' }, { SUDO_USER: 'ada' })).toBe('daemon-only');
  });

  test('else whom it runs as already', async () => {
    expect(await nameFor({ installed: installed('daemon-only', 1001) }, { SUDO_USER: 'ada' })).toBe('daemon-only');
  });

  test('else the one behind sudo', async () => {
    expect(await nameFor({}, { SUDO_USER: 'ada' })).toBe('ada');
  });

  test('root only where that is said, or was said before', async () => {
    for (const [more, environment] of [
      [{}, {}],
      [{}, { SUDO_USER: 'root' }],
      [{ runAs: 'root' }, { SUDO_USER: 'ada' }],
      [{ runAs: '0' }, {}],
    ] as const) {
      await expect(nameFor(more, environment)).rejects.toThrow('it would run as root, and so would every command');
    }
    expect(await nameFor({ runAs: 'root', allowRoot: true })).toBe('root');
    expect(await nameFor({ installed: installed('root', 0) }, { SUDO_USER: 'ada' })).toBe('root');
  });
});

describe("a user's own service runs as", () => {
  test('who installs it', async () => {
    expect(await nameFor({ scope: 'user' }, { SUDO_USER: 'root' }, 1000)).toBe('ada');
    expect(await nameFor({ scope: 'user', runAs: 'ada' }, {}, 1000)).toBe('ada');
  });

  test('nobody else, and not as root by mistake', async () => {
    await expect(nameFor({ scope: 'user', runAs: 'daemon-only' }, {}, 1000)).rejects.toThrow(
      'use --system for daemon-only',
    );
    await expect(nameFor({ scope: 'user' }, { SUDO_USER: 'ada' })).rejects.toThrow('--user: it would run as root');
    expect(await nameFor({ scope: 'user', allowRoot: true })).toBe('root');
  });
});

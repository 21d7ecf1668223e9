import { chmodSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { FoundAccount } from '../../src/service/account.js';
import type { Host } from '../../src/service/host.js';
import { loginPath, servicePath } from '../../src/service/login-path.js';

let home: string;

beforeAll(() => {
  home = realpathSync(mkdtempSync(join(tmpdir(), 'cape-login-')));
});
afterAll(() => rmSync(home, { recursive: true, force: true }));

const uid = process.getuid?.() ?? 0;

/** A shell that does what a profile would do before what it was asked. */
function shell(name: string, profile: string): FoundAccount {
  const file = join(home, name);
  writeFileSync(file, `#!/bin/sh\n${profile}\nexec /bin/sh -c "$3"\n`);
  chmodSync(file, 0o755);
  return { name: 'ada', uid, gid: uid, group: 'ada', home, shell: file };
}

const host = (): Host => ({ platform: 'linux', environment: { PATH: '/terminal/bin' }, uid, home, root: '' });

describe('the PATH of a login', () => {
  test('is what the profile makes of it, whatever else it prints; the terminal has no part in it', async () => {
    const account = shell('chatty', 'echo "cape-path is asked"; echo warning >&2; PATH="$HOME/bin:$PATH"; export PATH');
    const path = await loginPath(account, host());
    expect(path).toMatch(new RegExp(`^${home}/bin:/usr/local/sbin:`));
    expect(path).not.toContain('/terminal/bin');
  });

  test('is there at once where the profile leaves something running that holds the output', async () => {
    const account = shell(
      'agent',
      'sleep 30 & echo $! > "$HOME/pid"; PATH=/a:/b; export PATH; PATH=$PATH:/usr/bin:/bin',
    );
    const began = performance.now();
    expect(await loginPath(account, host())).toContain('/a:/b');
    expect(performance.now() - began).toBeLessThan(9000);
    const { readFileSync } = await import('node:fs');
    process.kill(Number(readFileSync(join(home, 'pid'), 'utf8')));
  });

  test('is not waited for where the profile prints without end', async () => {
    const began = performance.now();
    expect(await loginPath(shell('endless', 'while :; do printf "%01000d" 0; done'), host())).toBeNull();
    expect(performance.now() - began).toBeLessThan(9000);
  });

  test('is not known of an account without a shell, nor where the shell fails', async () => {
    expect(await loginPath({ ...shell('none', ''), shell: null }, host())).toBeNull();
    expect(await loginPath(shell('failing', 'exit 3'), host())).toBeNull();
    expect(await loginPath({ ...shell('none', ''), shell: '/no/such/shell' }, host())).toBeNull();
  });
});

describe('the PATH of a service', () => {
  test("is the login's with Node's folder before it", () => {
    expect(servicePath('/opt/node/bin/node', '/usr/bin:/bin', 'linux')).toBe('/opt/node/bin:/usr/bin:/bin');
  });

  test("keeps the login's order where Node is in it", () => {
    expect(servicePath('/usr/bin/node', '/usr/local/bin:/usr/bin', 'linux')).toBe('/usr/local/bin:/usr/bin');
  });

  test('has every folder once, and none that depends on where it is used', () => {
    expect(servicePath('/n/node', '/a::.:bin:/b:/a', 'linux')).toBe('/n:/a:/b');
  });

  test('is the usual one where nothing is known', () => {
    expect(servicePath('/usr/bin/node', null, 'linux')).toBe(
      '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    );
    expect(servicePath('/usr/bin/node', null, 'darwin')).toMatch(/^\/opt\/homebrew\/bin:/);
  });
});

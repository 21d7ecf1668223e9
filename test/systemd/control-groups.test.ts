/** Control groups of attempts, delegated by a real systemd to an ordinary user. */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { reasonNotToBoot } from './can-boot.js';
import { CLONE, Guest, HOME, NEWCOMER, say } from './guest.js';

const reason = reasonNotToBoot();

/** Sleeps for a time that is nobody else's, having left what a sweep could find; one of them as root. */
const LEAVES = [
  'setsid env -i /bin/sleep 31001 </dev/null >/dev/null 2>&1 &',
  'setsid sudo -n env -i /bin/sleep 31002 </dev/null >/dev/null 2>&1 &',
  'sudo -n /bin/sleep 31003 &', // in the process group, and not ours to signal
  'sleep 1; cat /proc/self/cgroup; exit 3',
].join('\n');

describe.skipIf(reason !== null).each([
  ['the new control groups alone', false],
  ['old and new control groups', true],
])('a booted systemd with %s', (_, hybrid) => {
  let guest: Guest;
  beforeAll(async () => {
    guest = await Guest.boot({ hybrid });
  });
  afterAll(() => guest?.close());

  /** One attempt in a service with these properties; what it left is ended. */
  async function attempt(asUser: boolean, ...properties: string[]) {
    const dir = `${HOME}/state`;
    await guest.runAs(NEWCOMER, `mkdir -p -m 700 "${dir}"`);
    const spec = {
      id: 'one',
      token: 'token-one',
      file: '/bin/sh',
      args: ['-c', LEAVES],
      env: { PATH: '/usr/bin:/bin' },
      cwd: HOME,
      timeoutMs: 20_000,
      idleTimeoutMs: 0,
      graceMs: 500,
      logPath: join(dir, 'one.log'),
      logLimit: 65_536,
      tailBytes: 8192,
      exitCodes: { invalid: [], snooze: [] },
    };
    const job = JSON.stringify({ stateDir: dir, graceMs: 500, spec, untilMs: 60_000 });
    const words = ['--unit=cape-worker-x', '--pipe', '--wait', '--collect', '--quiet', ...properties];
    // Counted inside of the service: with its end systemd ends what is left.
    const look =
      '"$@"; echo "left: $(pgrep -c -f "^/bin/sleep 3100")"; sudo -n pkill -KILL -f "^/bin/sleep 3100" 2>/dev/null; true';
    const program = ['/bin/sh', '-c', look, 'sh', process.execPath, `${CLONE}/test/fixtures/exec-worker.mjs`, job];
    const started = asUser
      ? await guest.runAs(NEWCOMER, `systemd-run --user ${[...words, ...program].map(quoted).join(' ')}`)
      : await guest.run('systemd-run', `--property=User=${NEWCOMER}`, ...words, ...program);
    const lines = started.stdout.split('\n');
    const said = lines.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line));
    const { controlGroup: base } = said.find((each) => each.helpers).helpers as { controlGroup: string | null };
    const left = Number(lines.find((line) => line.startsWith('left: '))?.slice(6));
    say(`${base}: ${left} left; ${started.stderr}`);
    return { base, outcome: said.find((each) => each.outcome).outcome, left, warned: started.stderr };
  }

  test("in a service of the system nothing is left, be it another user's", async () => {
    const { base, outcome, left, warned } = await attempt(false, '--property=Delegate=yes');
    expect(base).toMatch(/\/system\.slice\/cape-worker-x\.service$/);
    expect(outcome).toMatchObject({ kind: 'failed', exitCode: 3 });
    expect(outcome.tail).toMatch(/^0::.*\/cape-worker-x\.service\/cape-[0-9a-f]{24}-1$/m);
    expect({ left, warned }).toEqual({ left: 0, warned: '' });
    expect((await guest.try('test', '-e', dirname(base!))).code).toBe(0);
    expect((await guest.try('test', '-e', base!)).code).toBe(1);
  });

  test('nor where it is hardened', async () => {
    const template = readFileSync(new URL('../../daemons/cape-worker.service', import.meta.url), 'utf8');
    const hardening = [...template.matchAll(/^#if harden[^-]*?\n(.*?)^#end/gms)].flatMap(([, block]) =>
      block!.split('\n').filter((line) => /^[A-Z]/.test(line)),
    );
    const settings = hardening.filter((line) => !/=@[A-Z_]+@/.test(line)).map((line) => `--property=${line}`);
    expect(settings).toContain('--property=NoNewPrivileges=yes');
    const { base, outcome, left, warned } = await attempt(false, '--property=Delegate=yes', ...settings);
    expect(base).toMatch(/\/cape-worker-x\.service$/);
    expect(outcome).toMatchObject({ kind: 'failed', exitCode: 3 });
    expect({ left, warned }).toEqual({ left: 0, warned: '' });
  });

  test('nor in a service of a user', async () => {
    const { base, outcome, left, warned } = await attempt(true, '--property=Delegate=yes');
    expect(base).toMatch(/\/user@\d+\.service\/app\.slice\/cape-worker-x\.service$/);
    expect(outcome).toMatchObject({ kind: 'failed', exitCode: 3 });
    expect({ left, warned }).toEqual({ left: 0, warned: '' });
  });

  test('where nothing is delegated, commands run as anywhere else', async () => {
    const { base, outcome, left } = await attempt(false);
    expect(base).toBeNull();
    expect(outcome).toMatchObject({ kind: 'failed', exitCode: 3 });
    expect(left).toBeGreaterThan(0); // or the others would prove nothing
  });
});

function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

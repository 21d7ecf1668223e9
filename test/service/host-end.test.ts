import { expect, test } from 'vitest';
import { whyEverythingEnds } from '../../src/service/host-end.js';
import { fakeSystemd } from '../support/fake-systemd.js';

test.each<[string, Record<string, string>, Record<'host' | 'user', string>, string | null, string[]]>([
  ['the host runs', {}, { host: 'running', user: 'stopping' }, null, ['is-system-running']],
  ['the host is not well', {}, { host: 'degraded', user: '' }, null, ['is-system-running']],
  [
    'the host shuts down',
    { MANAGERPID: '1' },
    { host: 'stopping', user: 'stopping' },
    'the host is shutting down',
    ['--user is-system-running', 'is-system-running'],
  ],
  [
    "a user's manager leaves",
    { MANAGERPID: '1' },
    { host: 'running', user: 'stopping' },
    "the user's service manager is leaving",
    ['--user is-system-running', 'is-system-running'],
  ],
  ['systemd did not start it', { INVOCATION_ID: '' }, { host: 'stopping', user: 'stopping' }, null, []],
])('where %s', async (_, env, answers, why, asked) => {
  const systemd = fakeSystemd();
  systemd.answer('host', answers.host);
  systemd.answer('user', answers.user);
  const ask = whyEverythingEnds({ PATH: systemd.bin, INVOCATION_ID: 'i', ...env });
  expect(systemd.asked()).toEqual([]);
  expect(await ask()).toBe(why);
  expect(systemd.asked().sort()).toEqual(asked);
});

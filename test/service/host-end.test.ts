import { expect, test } from 'vitest';
import { everythingEnds } from '../../src/service/host-end.js';
import { fakeSystemd } from '../support/fake-systemd.js';
import { until } from '../support/until.js';

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
  const ending = everythingEnds({ PATH: systemd.bin, INVOCATION_ID: 'i', ...env }, 60_000);
  expect(systemd.asked()).toEqual([]);
  const done = new AbortController();
  const answer = ending(done.signal);
  await until(() => systemd.asked().length >= asked.length);
  if (why === null) done.abort();
  expect(await answer).toBe(why);
  expect(systemd.asked().sort()).toEqual(asked);
});

test('a host that is shut down in the middle of a drain, which sends no further signal, is noticed', async () => {
  const systemd = fakeSystemd();
  const ending = everythingEnds({ PATH: systemd.bin, NOTIFY_SOCKET: '/run/fake' }, 30)(new AbortController().signal);
  await until(() => systemd.asked().length >= 2);
  systemd.answer('host', 'stopping');
  expect(await ending).toBe('the host is shutting down');
});

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { workerIdSchema } from '../../src/core/issue.js';
import type { Host } from '../../src/service/host.js';
import { envFileOf, isOurEnvFile, placesOf, unitNameOf, workerOfUnit } from '../../src/service/places.js';

function host(more: Partial<Host> = {}): Host {
  return { platform: 'linux', environment: {}, uid: 1000, home: '/home/ada', root: '', ...more };
}

describe('where the files of a service are', () => {
  test('of the machine', () => {
    expect(placesOf('system', host())).toEqual({
      unitDir: '/etc/systemd/system',
      configDir: '/etc/cape-worker',
      configMode: 0o755,
      logDir: '/var/log/cape-worker',
      stateDir: '/var/lib/cape-worker',
    });
  });

  test('of a user', () => {
    expect(placesOf('user', host())).toEqual({
      unitDir: '/home/ada/.config/systemd/user',
      configDir: '/home/ada/.config/cape-worker',
      configMode: 0o700,
      logDir: '/home/ada/.local/state/cape-worker/logs',
      stateDir: '/home/ada/.local/state/cape-worker',
    });
  });

  test('of a user who keeps them elsewhere; a folder that is not absolute is passed over', () => {
    const environment = { XDG_CONFIG_HOME: '/data/config', XDG_STATE_HOME: 'state' };
    const places = placesOf('user', host({ environment }));
    expect(places.unitDir).toBe('/data/config/systemd/user');
    expect(places.stateDir).toBe('/home/ada/.local/state/cape-worker');
  });

  test('on a Mac', () => {
    expect(placesOf('system', host({ platform: 'darwin' })).unitDir).toBe('/Library/LaunchDaemons');
    const places = placesOf('user', host({ platform: 'darwin', home: '/Users/ada' }));
    expect(places.unitDir).toBe('/Users/ada/Library/LaunchAgents');
    expect(places.logDir).toBe('/Users/ada/Library/Logs/cape-worker');
  });

  test('only an env file in our own folder is ours', () => {
    const places = placesOf('system', host());
    expect(isOurEnvFile(places, envFileOf(places, 'a.b'))).toBe(true);
    expect(isOurEnvFile(places, '/etc/cape-worker/deeper/a.env')).toBe(false);
    expect(isOurEnvFile(places, '/srv/a.env')).toBe(false);
  });
});

describe('the name of a unit', () => {
  const workerId = fc
    .stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/)
    .filter((id) => workerIdSchema.safeParse(id).success && id !== 'postgres');

  test('is the documented one, for every id that a worker may have, and leads back to it', () => {
    fc.assert(
      fc.property(workerId, (id) => {
        const name = unitNameOf(id);
        expect(name).toBe(`cape-worker-${id}.service`);
        expect(workerOfUnit(name)).toBe(id);
        // What systemd allows in a name; "@" would make it a template, and none is longer than 255.
        expect(name).toMatch(/^[A-Za-z0-9:_.-]{1,255}$/);
      }),
    );
  });

  test("of the database's own unit is no worker's", () => {
    expect(() => unitNameOf('postgres')).toThrow(
      'got "postgres", whose service would be called like that of the database',
    );
    expect(workerOfUnit('cape-worker-postgres.service')).toBeNull();
  });

  test.each(['cape-worker-.service', 'cape-worker-a.timer', 'other.service', 'cape-worker-a.service.d'])(
    'is not %s',
    (file) => expect(workerOfUnit(file)).toBeNull(),
  );
});

/** What systemd itself thinks of the units, without a running one. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { renderDatabaseUnit } from '../../src/service/database-unit.js';
import type { ServiceSpec } from '../../src/service/spec.js';
import { renderUnit } from '../../src/service/unit.js';
import { tempFolder } from '../support/worker.js';
import { EVERYTHING, SYSTEM, UNITS } from './specs.js';

const asked = spawnSync('systemd-analyze', ['--version'], { encoding: 'utf8' });
const version = Number(/^systemd (\d+)/.exec(asked.stdout ?? '')?.[1] ?? 0);
const features = { version, notify: true };
if (version === 0) console.log('systemd-analyze is not installed: left out is what it says of the units');

function analyze(...args: string[]) {
  const env = { PATH: process.env.PATH, LC_ALL: 'C', XDG_RUNTIME_DIR: tempFolder('cape runtime ') };
  const { status, stdout, stderr } = spawnSync('systemd-analyze', args, { encoding: 'utf8', env });
  return { status, stdout, stderr };
}

/** Without programs that this machine has not: a missing one is an error. */
function written(folder: string, name: string, text: string): string {
  const file = join(folder, `cape-worker-${name}.service`);
  writeFileSync(file, text);
  return file;
}

describe.skipIf(version === 0)('systemd-analyze', () => {
  test.each(['system', 'user'] as const)('has nothing to say against the units of the %s scope', (scope) => {
    const folder = tempFolder('cape-units-');
    const files = Object.entries(UNITS)
      .filter(([name, { spec }]) => spec.scope === scope && name !== 'everything')
      .map(
        ([
          name,
          {
            spec,
            features: { notify },
          },
        ]) => written(folder, name, renderUnit({ ...spec, node: process.execPath }, { version, notify })),
      );
    expect(files.length).toBeGreaterThan(1);
    expect(analyze('verify', `--${scope}`, ...files)).toEqual({ status: 0, stdout: '', stderr: '' });
  });

  test.each(['system', 'user'] as const)('has nothing to say against the database of the %s scope', (scope) => {
    const cluster = '/var/lib/cape worker/100 %/data';
    // A program that is there in the place of pg_ctl.
    const server = { cluster, pgCtl: process.execPath, libraries: ['/a b/lib'], settings: ['log_filename=%a.log'] };
    const spec = { scope, user: 'cape-postgres', dataDir: '/var/lib/cape worker', foundData: false };
    const file = written(tempFolder('cape-units-'), 'postgres', renderDatabaseUnit(spec, server));
    expect(analyze('verify', `--${scope}`, file)).toEqual({ status: 0, stdout: '', stderr: '' });
  });

  test('takes a program with nearly every character in its path', () => {
    const folder = tempFolder('cape-units-');
    const nasty = join(folder, EVERYTHING.node.split('/')[2] as string);
    mkdirSync(nasty);
    symlinkSync(process.execPath, join(nasty, 'node'));
    const text = renderUnit({ ...EVERYTHING, node: join(nasty, 'node') }, features);
    expect(analyze('verify', written(folder, 'nasty', text))).toEqual({ status: 0, stdout: '', stderr: '' });
  });

  test('says so where a unit is wrong, else the tests above could not fail', () => {
    const text = renderUnit({ ...SYSTEM, node: process.execPath }, features).replace('UMask=0077', 'Umask=0077');
    expect(analyze('verify', written(tempFolder('cape-units-'), 'wrong', text)).stderr).toMatch(/Umask/);
  });

  // The scores of docs/service.md, in tenths, rounded up. --offline is of systemd 250.
  test.skipIf(version < 250).each([
    ['as it is', {}, 94],
    ['with --harden', { harden: true }, 49],
  ] as [string, Partial<ServiceSpec>, number][])(
    'rates the unit %s no worse than the docs say',
    (_, changes, tenths) => {
      const file = written(tempFolder('cape-units-'), 'rated', renderUnit({ ...SYSTEM, ...changes }, features));
      const { status, stdout, stderr } = analyze('security', '--offline=true', `--threshold=${tenths}`, file);
      expect({ status, stderr }, stdout).toEqual({ status: 0, stderr: '' });
    },
  );
});

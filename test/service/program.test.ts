import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { doubtOf, isAnyNewer, isNewerThan, programOf } from '../../src/service/program.js';
import { until } from '../support/until.js';

let dir: string;

beforeEach(() => {
  dir = realpathSync(mkdtempSync(join(tmpdir(), 'cape-program-')));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

describe('this program', () => {
  test('is a clone where npm did not put it among its packages', () => {
    expect(programOf('/home/ada/cape/dist/cli/main.js', '/usr/bin/node', [])).toEqual({
      node: '/usr/bin/node',
      main: '/home/ada/cape/dist/cli/main.js',
      root: '/home/ada/cape',
      clone: true,
    });
    expect(programOf('/usr/lib/node_modules/cape-worker/dist/cli/main.js', '/usr/bin/node', []).clone).toBe(false);
  });

  test('is named with a Node that stays through upgrades, where a link leads to the one that runs', () => {
    const cellar = join(dir, 'Cellar/node/22.1.0/bin');
    mkdirSync(cellar, { recursive: true });
    mkdirSync(join(dir, 'bin'));
    writeFileSync(join(cellar, 'node'), '');
    const real = join(cellar, 'node');
    expect(programOf('/p/dist/cli/main.js', real, [join(dir, 'bin')]).node).toBe(real);
    symlinkSync(real, join(dir, 'bin/node'));
    expect(programOf('/p/dist/cli/main.js', real, [join(dir, 'bin')]).node).toBe(join(dir, 'bin/node'));
    expect(programOf('/p/dist/cli/main.js', '/other/node', [join(dir, 'bin')]).node).toBe('/other/node');
  });

  test('is doubted where it will not stay', () => {
    const program = programOf(
      '/home/ada/.npm/_npx/12ab/node_modules/cape-worker/dist/cli/main.js',
      '/usr/bin/node',
      [],
    );
    expect(doubtOf(program)).toContain('npm install -g cape-worker');
    expect(doubtOf({ ...program, root: '/r', node: '/run/user/1/fnm_multishells/7_1/bin/node' })).toContain('fnm');
    expect(doubtOf({ ...program, root: '/r' })).toBeNull();
  });
});

test('is newer than a service that was up a second before it was written, and not within that second', () => {
  const main = join(dir, 'main.js');
  writeFileSync(main, '');
  const written = Date.now();
  const program = { main, node: join(dir, 'gone'), root: dir, clone: true };
  expect(isNewerThan(program, new Date(written - 60_000))).toBe(true);
  expect(isNewerThan(program, new Date(Math.floor(written / 1000) * 1000))).toBe(false);
  expect(isAnyNewer([join(dir, 'gone')], new Date(0))).toBe(false);
});

test('is not newer for a mode that npx has set, but is with a date that npm gives its files', async () => {
  const main = join(dir, 'main.js');
  writeFileSync(main, '');
  const program = { main, node: join(dir, 'gone'), root: dir, clone: true };
  const npms = new Date('1985-10-26T08:15:00Z');
  utimesSync(main, npms, npms);
  expect(isNewerThan(program, new Date(Date.now() - 60_000))).toBe(true);

  const up = new Date();
  await until(() => Date.now() > up.getTime() + 2500);
  chmodSync(main, 0o755);
  expect(isNewerThan(program, up)).toBe(false);
  writeFileSync(main, 'written in place');
  expect(isNewerThan(program, up)).toBe(true);
});

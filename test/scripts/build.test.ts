/** The build of a clone in which workers run. */
import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { tempFolder } from '../support/worker.js';

const root = fileURLToPath(new URL('../..', import.meta.url));

test('exchanges the old one at its end: one that fails leaves what was there', () => {
  const clone = tempFolder('cape build ');
  for (const folder of ['scripts', 'src/cli', 'src/execution']) mkdirSync(join(clone, folder), { recursive: true });
  for (const file of ['scripts/build.mjs', 'tsconfig.json', 'tsconfig.build.json', 'src/execution/warden.sh']) {
    copyFileSync(join(root, file), join(clone, file));
  }
  writeFileSync(join(clone, 'package.json'), '{ "type": "module" }');
  symlinkSync(join(root, 'node_modules'), join(clone, 'node_modules'));
  const build = (text: string) => {
    writeFileSync(join(clone, 'src/cli/main.ts'), text);
    return spawnSync(process.execPath, [join(clone, 'scripts/build.mjs')], { encoding: 'utf8' });
  };
  const main = join(clone, 'dist/cli/main.js');

  expect(build('export const x: number = 1;\n')).toMatchObject({ status: 0, stderr: '' });
  expect(readFileSync(main, 'utf8')).toContain('x = 1');
  expect(statSync(main).mode & 0o777).toBe(0o755);
  const inode = statSync(join(clone, 'dist/execution/warden.sh')).ino;

  const failed = build("export const x: number = 'two';\n");
  expect(failed.status).not.toBe(0);
  expect(failed.stdout).toContain('TS2322');
  expect(readFileSync(main, 'utf8')).toContain('x = 1');
  expect(statSync(join(clone, 'dist/execution/warden.sh')).ino).toBe(inode);

  mkdirSync(join(clone, '.dist-new')); // of one that was interrupted
  expect(build('export const x: number = 3;\n').status).toBe(0);
  expect(readFileSync(main, 'utf8')).toContain('x = 3');
  expect(readdirSync(clone).filter((name) => name.startsWith('.'))).toEqual([]);

  // Without a compiler, as on a host that was pruned, a build that is there will do.
  rmSync(join(clone, 'node_modules'));
  expect(build('nonsense').status).toBe(0);
  rmSync(join(clone, 'dist'), { recursive: true });
  expect(build('nonsense')).toMatchObject({
    status: 1,
    stderr: expect.stringContaining('TypeScript is not installed'),
  });
});

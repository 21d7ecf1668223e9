/** The build of a clone in which workers run. */
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { tempFolder } from '../support/worker.js';

const root = fileURLToPath(new URL('../..', import.meta.url));

const FILES = [
  ...['scripts/build.mjs', 'scripts/build/bundle.mjs', 'scripts/build/compile-ahead.mjs'],
  'scripts/build/dashboard.mjs',
  ...['tsconfig.json', 'tsconfig.build.json'],
  ...['src/execution/warden.sh', 'src/cli/launcher.cjs'],
];

const NOBODY = 65534;
const isRoot = process.getuid?.() === 0;

interface Build {
  readonly clone: string;
  /** Builds it with this text as the program. */
  (text: string): ReturnType<typeof run>;
  ifNeeded(options?: { uid?: number; gid?: number }): ReturnType<typeof run>;
}

function run(clone: string, args: string[] = [], options: { uid?: number; gid?: number } = {}) {
  return spawnSync(process.execPath, [join(clone, 'scripts/build.mjs'), ...args], { encoding: 'utf8', ...options });
}

/** A compiler that only copies, in no time. */
function quickCompiler(modules: string): void {
  mkdirSync(join(modules, 'typescript/bin'), { recursive: true });
  writeFileSync(join(modules, 'typescript/package.json'), '{}');
  const copy = `fs.mkdirSync(out + '/cli', { recursive: true }); fs.copyFileSync('src/cli/main.ts', out + '/cli/main.js')`;
  const text = `const fs = require('node:fs'); process.chdir(__dirname + '/../../..'); const out = process.argv.at(-1); ${copy}`;
  writeFileSync(join(modules, 'typescript/bin/tsc'), text);
  for (const name of ['esbuild', 'vite']) symlinkSync(join(root, 'node_modules', name), join(modules, name));
}

const realCompiler = (modules: string) => symlinkSync(join(root, 'node_modules'), modules);

/** A clone with the build of this one, and a program of one line. */
function cloned(compiler = realCompiler): Build {
  const clone = tempFolder('cape build ');
  for (const folder of ['scripts/build', 'src/cli', 'src/execution', 'src/http', 'src/dashboard'])
    mkdirSync(join(clone, folder), { recursive: true });
  for (const file of FILES) copyFileSync(join(root, file), join(clone, file));
  writeFileSync(join(clone, 'package.json'), '{ "type": "module" }');
  writeFileSync(join(clone, 'src/execution/keeper.ts'), '');
  writeFileSync(join(clone, 'src/http/server.ts'), '');
  writeFileSync(join(clone, 'src/dashboard/index.html'), '<script type="module" src="./main.ts"></script>');
  writeFileSync(join(clone, 'src/dashboard/main.ts'), 'document.title = "a page";');
  compiler(join(clone, 'node_modules'));
  const build = (text: string) => {
    writeFileSync(join(clone, 'src/cli/main.ts'), text);
    return run(clone);
  };
  return Object.assign(build, { clone, ifNeeded: (options = {}) => run(clone, ['--if-needed'], options) });
}

test('exchanges the old one at its end: one that fails leaves what was there', () => {
  const build = cloned();
  const { clone } = build;
  const main = join(clone, 'dist/cli/main.js');
  const program = join(clone, 'dist/cli/program.cjs');

  expect(build('(globalThis as { x?: number }).x = 1;\n')).toMatchObject({ status: 0, stderr: '' });
  expect(readFileSync(program, 'utf8')).toContain('x = 1');
  expect(statSync(main).mode & 0o777).toBe(0o755);
  const inode = statSync(join(clone, 'dist/execution/warden.sh')).ino;

  const failed = build("const x: number = 'two';\n");
  expect(failed.status).not.toBe(0);
  expect(failed.stdout).toContain('TS2322');
  expect(readFileSync(program, 'utf8')).toContain('x = 1');
  expect(statSync(join(clone, 'dist/execution/warden.sh')).ino).toBe(inode);

  mkdirSync(join(clone, '.dist-new')); // of one that was interrupted
  expect(build('(globalThis as { x?: number }).x = 3;\n').status).toBe(0);
  expect(readFileSync(program, 'utf8')).toContain('x = 3');
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

test('as npm and npx ask for it, it is made only where it is missing or older than its sources', () => {
  const build = cloned(quickCompiler);
  const main = join(build.clone, 'dist/cli/main.js');
  writeFileSync(join(build.clone, 'src/cli/main.ts'), '(globalThis as { x?: number }).x = 1;\n');
  /** Whether it was built: an inode that is kept is not given away. */
  const isBuilt = () => {
    const before = statSync(main, { throwIfNoEntry: false });
    expect(build.ifNeeded()).toMatchObject({ status: 0, stderr: '' });
    return statSync(main).ctimeMs !== before?.ctimeMs;
  };
  expect(isBuilt()).toBe(true);
  expect(isBuilt()).toBe(false);

  const later = new Date(Date.now() + 60_000);
  utimesSync(join(build.clone, 'src/execution/warden.sh'), later, later);
  expect(isBuilt()).toBe(true);
  const past = new Date(Date.now() - 60_000);
  utimesSync(join(build.clone, 'src/execution/warden.sh'), past, past);
  expect(isBuilt()).toBe(false);
  chmodSync(main, 0o644); // interrupted, before it had come to its end
  expect(isBuilt()).toBe(true);
});

test.skipIf(!isRoot)("what root builds in somebody's clone is the owner's, who builds again", () => {
  const build = cloned(quickCompiler);
  chownSync(build.clone, NOBODY, NOBODY);
  expect(build('(globalThis as { x?: number }).x = 1;\n').status).toBe(0);
  for (const path of ['dist', 'dist/cli', 'dist/cli/main.js']) {
    expect(statSync(join(build.clone, path)).uid).toBe(NOBODY);
  }
});

test.skipIf(!isRoot)('who may not write there uses the build that is there, or is told whose it is', () => {
  const build = cloned(quickCompiler);
  chmodSync(build.clone, 0o755);
  expect(build('(globalThis as { x?: number }).x = 1;\n').status).toBe(0);
  const later = new Date(Date.now() + 60_000);
  utimesSync(join(build.clone, 'package.json'), later, later);
  const nobody = { uid: NOBODY, gid: NOBODY };
  expect(build.ifNeeded(nobody)).toMatchObject({ status: 0, stderr: '' });

  chownSync(build.clone, NOBODY, NOBODY);
  const refused = build.ifNeeded(nobody);
  expect(refused.status).toBe(1);
  expect(refused.stderr).toBe(
    `build: ${build.clone}/dist belongs to another account and can't be replaced; ` +
      `remove it as that one, as in: sudo rm -r '${build.clone}/dist'\n`,
  );
});

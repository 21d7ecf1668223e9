// Builds dist/: tsc for the program, and the files that are not TypeScript beside it.
// `npm ci` runs this (prepare). Where only production dependencies are installed there is no compiler:
// a build that exists is then kept, since pruning after building is how a host is set up.
import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdirSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');

function compiler() {
  try {
    const manifest = createRequire(join(root, 'package.json')).resolve('typescript/package.json');
    return join(dirname(manifest), 'bin', 'tsc');
  } catch {
    return undefined;
  }
}

const tsc = compiler();
if (!tsc) {
  if (existsSync(join(root, 'dist', 'cli', 'main.js'))) process.exit(0);
  console.error('build: TypeScript is not installed; run "npm ci" with development dependencies first');
  process.exit(1);
}
rmSync(join(root, 'dist'), { recursive: true, force: true });
mkdirSync(join(root, 'dist', 'execution'), { recursive: true });
copyFileSync(join(root, 'src', 'execution', 'warden.sh'), join(root, 'dist', 'execution', 'warden.sh'));
const done = spawnSync(process.execPath, [tsc, '-p', join(root, 'tsconfig.build.json')], { stdio: 'inherit' });
if (done.status !== 0) process.exit(done.status ?? 1);
chmodSync(join(root, 'dist', 'cli', 'main.js'), 0o755);

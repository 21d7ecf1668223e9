// Builds dist/: tsc for the program, and the files that are not TypeScript beside it.
// `npm ci` runs this (prepare). Where only production dependencies are installed there is no compiler:
// a build that exists is then kept, since pruning after building is how a host is set up.
import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
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
// Beside the old one, which is exchanged for it at the end: workers of this clone may be running, and start their helper
// processes from dist/ at any moment. A build that fails, or is interrupted, leaves what was there.
const dist = join(root, 'dist');
const fresh = join(root, '.dist-new');
const old = join(root, '.dist-old');
for (const path of [fresh, old]) rmSync(path, { recursive: true, force: true });
mkdirSync(join(fresh, 'execution'), { recursive: true });
copyFileSync(join(root, 'src', 'execution', 'warden.sh'), join(fresh, 'execution', 'warden.sh'));
const done = spawnSync(process.execPath, [tsc, '-p', join(root, 'tsconfig.build.json'), '--outDir', fresh], {
  stdio: 'inherit',
});
if (done.status !== 0) {
  rmSync(fresh, { recursive: true, force: true });
  process.exit(done.status ?? 1);
}
chmodSync(join(fresh, 'cli', 'main.js'), 0o755);
if (existsSync(dist)) renameSync(dist, old);
renameSync(fresh, dist);
rmSync(old, { recursive: true, force: true });

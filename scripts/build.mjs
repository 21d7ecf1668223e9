// Builds dist/: tsc for the library, the program in one file (build/bundle.mjs), the web page
// (build/dashboard.mjs), and what is not TypeScript beside it.
// `npm ci` runs it (prepare) with --if-needed, and so does each account's first `npx cape-worker` in a clone, be it root's:
// a dist/ that was built anew would belong to root, and every service would be taken for older than its program.
// Where only production dependencies are installed there is no compiler:
// a build that exists is then kept, since pruning after building is how a host is set up.
import { spawnSync } from 'node:child_process';
import {
  accessSync,
  chmodSync,
  constants,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { bundle } from './build/bundle.mjs';
import { compileAhead } from './build/compile-ahead.mjs';
import { buildDashboard } from './build/dashboard.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');

/** A development dependency's file; undefined where only those of production are installed. */
function tool(name, ...file) {
  try {
    return join(dirname(createRequire(join(root, 'package.json')).resolve(`${name}/package.json`)), ...file);
  } catch {
    return undefined;
  }
}

const dist = join(root, 'dist');
const main = join(dist, 'cli', 'main.js');
const SOURCES = ['src', 'package.json', 'tsconfig.json', 'tsconfig.build.json', 'scripts/build.mjs', 'scripts/build'];

/** True where there is no build, or one that was not finished or is older than what it is made of. */
function isNeeded() {
  const built = statSync(main, { throwIfNoEntry: false });
  // It is made executable at the very end.
  if (!built || (built.mode & 0o100) === 0) return true;
  return SOURCES.some((path) => newest(join(root, path)) > built.mtimeMs);
}

/** When a file, or the last in a folder, was changed; of a folder also when something was taken out of it. */
function newest(path) {
  const found = statSync(path, { throwIfNoEntry: false });
  if (!found) return 0;
  const inside = found.isDirectory() ? readdirSync(path).map((name) => newest(join(path, name))) : [];
  return Math.max(found.mtimeMs, ...inside);
}

function isOurs(path) {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch (error) {
    return error.code === 'ENOENT';
  }
}

/** Of another account: built there by `sudo npm run build`, say. */
function refuse(path) {
  console.error(
    `build: ${path} belongs to another account and can't be replaced; remove it as that one, as in: sudo rm -r '${path}'`,
  );
  process.exit(1);
}

function remove(path) {
  try {
    rmSync(path, { recursive: true, force: true });
  } catch (error) {
    if (error.code !== 'EACCES' && error.code !== 'EPERM') throw error;
    refuse(path);
  }
}

/** What root leaves in somebody's clone, that one could neither change nor remove. */
function giveToOwner(path) {
  const { uid, gid } = statSync(root);
  if (process.getuid?.() !== 0 || uid === 0) return;
  spawnSync('chown', ['-R', `${uid}:${gid}`, path], { stdio: 'inherit' });
}

if (process.argv.includes('--if-needed')) {
  if (!isNeeded()) process.exit(0);
  // Of somebody who may only use this clone: what is there will do until its owner builds.
  if (!isOurs(root) && existsSync(main)) process.exit(0);
}
const tsc = tool('typescript', 'bin', 'tsc');
const esbuild = tool('esbuild', 'lib', 'main.js');
const vite = tool('vite', 'dist', 'node', 'index.js');
if (!tsc || !esbuild || !vite) {
  if (existsSync(main)) process.exit(0);
  const missing = !tsc ? 'TypeScript' : !esbuild ? 'esbuild' : 'vite';
  console.error(`build: ${missing} is not installed; run "npm ci" with development dependencies first`);
  process.exit(1);
}
// Beside the old one, which is exchanged for it at the end: workers of this clone may be running, and start their helper
// processes from dist/ at any moment. A build that fails, or is interrupted, leaves what was there.
const fresh = join(root, '.dist-new');
const old = join(root, '.dist-old');
for (const path of [fresh, old]) remove(path);
if (!isOurs(root)) {
  console.error(`build: ${root} belongs to another account; build as that one`);
  process.exit(1);
}
if (!isOurs(dist)) refuse(dist);
mkdirSync(join(fresh, 'execution'), { recursive: true });
copyFileSync(join(root, 'src', 'execution', 'warden.sh'), join(fresh, 'execution', 'warden.sh'));
const done = spawnSync(process.execPath, [tsc, '-p', join(root, 'tsconfig.build.json'), '--outDir', fresh], {
  stdio: 'inherit',
});
if (done.status !== 0) {
  remove(fresh);
  process.exit(done.status ?? 1);
}
try {
  await bundle((await import(pathToFileURL(esbuild).href)).default, root, fresh);
  await buildDashboard(await import(pathToFileURL(vite).href), root, fresh);
} catch (error) {
  // esbuild has said where and what, and so has vite.
  if (!error.errors) console.error(error);
  remove(fresh);
  process.exit(1);
}
compileAhead(join(fresh, 'cli'));
chmodSync(join(fresh, 'cli', 'main.js'), 0o755);
giveToOwner(fresh);
if (existsSync(dist)) renameSync(dist, old);
renameSync(fresh, dist);
remove(old);

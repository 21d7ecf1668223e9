// What V8 compiles of the program when a worker starts, kept in a file beside it (see src/cli/launcher.cjs).
// V8 keeps what was compiled, and compiles what is called: so a worker is started here, on a database that is not there.
// Called as a program of its own, with the folder of the built program, since that ends with process.exit.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import v8 from 'node:v8';
import { Script } from 'node:vm';

const self = fileURLToPath(import.meta.url);
/** The worker is told to stop after so long: it has then tried to reach the database once or twice. */
const WORK_MS = 300;

/** Best effort: without the file the program starts later, and that is all. @param folder dist/cli to be */
export function compileAhead(folder) {
  const empty = mkdtempSync(join(tmpdir(), 'cape-worker-build-'));
  try {
    const env = { PATH: process.env.PATH, HOME: empty };
    const done = spawnSync(process.execPath, [self, folder], { cwd: empty, env, encoding: 'utf8', timeout: 30_000 });
    const failure = done.status === 0 ? null : (done.error ?? done.stderr);
    if (failure !== null || !isTaken(folder))
      console.error(`build: the program is not compiled ahead: ${failure ?? 'V8 refuses what it has compiled'}`);
  } finally {
    rmSync(empty, { recursive: true, force: true });
  }
}

const programIn = (folder) => join(folder, 'program.cjs');
const cacheIn = (folder) => join(folder, `program-${process.version}-${process.arch}.cache`);

function isTaken(folder) {
  const [filename, cachedData] = [programIn(folder), readFileSync(cacheIn(folder))];
  return !new Script(readFileSync(filename, 'latin1'), { filename, cachedData }).cachedDataRejected;
}

/** Runs the program in this process, as launcher.cjs does, and keeps what V8 has when it leaves. */
function work(folder) {
  const file = programIn(folder);
  const script = new Script(readFileSync(file, 'latin1'), { filename: file });
  process.env.DATABASE_URL = 'postgres://nobody@/none?host=/nonexistent';
  process.argv = [process.execPath, join(folder, 'main.js'), 'run', '--worker-id', 'build', '--command', 'true'];
  // On a busy machine the worker leaves so late that it has set one: V8 refuses what was compiled under other flags.
  v8.setFlagsFromString = () => {};
  process.on('exit', () => writeFileSync(cacheIn(folder), script.createCachedData()));
  setTimeout(() => process.emit('SIGTERM', 'SIGTERM'), WORK_MS).unref();
  script.runInThisContext()(createRequire(file), file, folder);
}

if (process.argv[1] === self) work(process.argv[2]);

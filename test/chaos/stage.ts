/**
 * Where a run takes place: a folder, a Postgres, proxies and workers that it has made itself. It never looks at
 * DATABASE_URL nor at a `.env`, so there is no way to name another database, and it removes only a folder with its mark.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CapeError, messageOf } from '../../src/core/errors.js';
import { connect, type Database } from '../../src/db/connect.js';
import { migrate } from '../../src/db/migrate.js';
import { makeFolder } from '../../src/folders.js';
import { startProxy } from '../support/proxy.js';
import { WATCH_MOVES } from './history.js';
import { OwnPostgres } from './postgres.js';
import { type Fence, sabotagedProgram } from './sabotage.js';
import { Sightings } from './sightings.js';
import { WorkerSlot } from './worker-slot.js';

/** Bytes of a small disk: room for the logs of some minutes, soon full. */
const DISK_MB = 16;
const MARK = '.cape-chaos';
const PROGRAM = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
/** Two on each of two machines: there death can be proven, between them only leases run out. */
const MACHINES = ['left', 'left', 'right', 'right'];
/** Short, so that faults outlast them; runs of the second kind survive an outage of up to 14 s, of the first 4 s. */
const LEASES_S = [10, 20];

export interface Stage {
  readonly folder: string;
  readonly ledger: string;
  readonly postgres: OwnPostgres;
  /** The harness's own, past all proxies. */
  readonly db: Database;
  readonly workers: readonly WorkerSlot[];
  readonly sightings: Sightings;
  /** True where the workers' logs are on small file systems that can be filled. */
  readonly disks: boolean;
  /** Ends every process of the run and frees what it holds; removes what it made unless that is to be kept. */
  strike(keep: boolean): Promise<void>;
}

/**
 * @param dir as `assertUsable` wants it; null: a new folder of the system's temporary one
 * @throws CapeError `usage` for a folder with something in it, or that can't be made
 */
export async function prepareStage(dir: string | null, without: Fence | null): Promise<Stage> {
  const { folder, found } = takeFolder(dir);
  const remove = () => removeFolder(folder, found);
  try {
    const program = without ? sabotagedProgram(folder, without) : PROGRAM;
    const postgres = await OwnPostgres.make(join(folder, 'database'));
    return await furnish({ folder, program, postgres, remove }).catch(async (error) => {
      await postgres.stop();
      throw error;
    });
  } catch (error) {
    remove();
    throw error;
  }
}

interface Bare {
  readonly folder: string;
  readonly program: string;
  readonly postgres: OwnPostgres;
  remove(): void;
}

async function furnish({ folder, program, postgres, remove }: Bare): Promise<Stage> {
  const ledger = join(folder, 'ledger');
  writeFileSync(ledger, '');
  await migrate({ url: postgres.url, schema: 'public' });
  const db = connect({
    url: postgres.url,
    schema: 'public',
    applicationName: 'chaos',
    connections: 6,
    deadlineMs: 6000,
  });
  for (const statement of WATCH_MOVES) await db.query(statement);
  const workers = await Promise.all(
    MACHINES.map(async (machine, index) => {
      const name = `chaos-${index + 1}`;
      const lease = LEASES_S[index % LEASES_S.length]!;
      const own = { name, lease, machine: `${machine} of ${folder}`, dir: join(folder, name) };
      const proxy = await startProxy(postgres.url);
      return new WorkerSlot({ ...own, proxy, program, ledger, databaseUrl: postgres.url });
    }),
  );
  const mounted = workers.map(({ logDir }) => mount(logDir));
  const sightings = new Sightings(ledger, folder);
  const strike = async (keep: boolean) => {
    sightings.stop();
    for (const worker of workers) await worker.kill();
    await endSurvivors(sightings);
    for (const worker of workers) worker.end();
    await db.close();
    for (const worker of workers) await worker.proxy.close();
    await postgres.stop(keep ? 'SIGINT' : 'SIGQUIT');
    for (const { logDir } of workers) {
      if (keep) keepLogs(logDir);
      unmount(logDir);
    }
    if (!keep) remove();
  };
  return { folder, ledger, postgres, db, workers, sightings, disks: mounted.every(Boolean), strike };
}

/**
 * @param dir must not exist, or be a folder with nothing in it
 * @throws CapeError `usage` for anything else
 */
export function assertUsable(dir: string): void {
  if (namesIn(dir).length > 0)
    throw new CapeError('usage', `--dir: got "${dir}", which is not empty; name a folder that is, or does not exist`);
}

function namesIn(dir: string): string[] {
  try {
    return readdirSync(resolve(dir));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw new CapeError('usage', `--dir: got "${dir}", which can't be looked into: ${messageOf(error)}`);
  }
}

/** @returns the folder, and whether it was there: then it is somebody's, and stays */
function takeFolder(dir: string | null): { folder: string; found: boolean } {
  if (dir !== null) assertUsable(dir);
  const folder = dir === null ? mkdtempSync(join(tmpdir(), 'cape-chaos-')) : resolve(dir);
  const found = dir !== null && existsSync(folder);
  try {
    makeFolder(folder, 0o755);
    // mkdtemp gives 0700; for root the server runs as another user, who must be able to pass.
    chmodSync(folder, 0o755);
    writeFileSync(join(folder, MARK), 'Made by "npm run chaos", and may be removed.\n');
  } catch (error) {
    throw new CapeError('usage', `--dir: got "${folder}"; can't write there: ${messageOf(error)}`);
  }
  return { folder, found };
}

/** The mark last: what a removal that fails leaves behind is still known for ours. */
function removeFolder(folder: string, found: boolean): void {
  if (!existsSync(join(folder, MARK))) throw new Error(`${folder} has no ${MARK}: it is not ours to remove`);
  const names = readdirSync(folder).filter((name) => name !== MARK);
  for (const name of [...names, MARK]) rmSync(join(folder, name), { recursive: true, force: true, maxRetries: 3 });
  if (!found) rmdirSync(folder);
}

function mount(path: string): boolean {
  const options = ['-t', 'tmpfs', '-o', `size=${DISK_MB}m,mode=0755`, 'cape-chaos', path];
  return spawnSync('mount', options, { stdio: 'ignore' }).status === 0;
}

/** What was on the small disk goes with it: a copy stays where somebody will want to look. */
function keepLogs(path: string): void {
  spawnSync('cp', ['-a', path, `${path}-kept`], { stdio: 'ignore' });
}

function unmount(path: string): void {
  spawnSync('umount', ['-l', path], { stdio: 'ignore' });
}

/** By the pids that carry this run's own marks, never by a name: other runs of the machine look the same. */
async function endSurvivors(sightings: Sightings): Promise<void> {
  for (let tries = 0; tries < 50; tries++) {
    const left = sightings.survivors();
    if (left.length === 0) return;
    for (const { pid } of left) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It has ended since.
      }
    }
    await new Promise((done) => setTimeout(done, 100));
  }
}

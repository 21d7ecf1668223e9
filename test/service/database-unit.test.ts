import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { installDatabase, uninstallDatabase } from '../../src/service/database.js';
import { type DatabaseSpec, parseDatabaseUnit, renderDatabaseUnit } from '../../src/service/database-unit.js';
import { fakeMachine } from './fake-systemd.js';

const SYSTEM: DatabaseSpec = {
  scope: 'system',
  user: 'cape-postgres',
  dataDir: '/var/lib/cape-worker-postgres',
  foundData: false,
};
const at = (folder: string) => ({
  cluster: `${folder}/postgres/data`,
  pgCtl: `${folder}/postgres/native-18/native/bin/pg_ctl`,
  libraries: [`${folder}/postgres/links`, `${folder}/postgres/native-18/native/lib`],
  settings: ['port=41465', 'unix_socket_directories=', 'log_filename=postgres-%a.log'],
});

test('the unit of a machine, to be read', async () => {
  await expect(renderDatabaseUnit(SYSTEM, at(SYSTEM.dataDir))).toMatchFileSnapshot('golden/postgres.service');
});

test("the unit of a user, with a blank in the path and the system's own Postgres", async () => {
  const spec: DatabaseSpec = { scope: 'user', user: '', dataDir: '/home/ada/cape data', foundData: true };
  const server = { ...at(spec.dataDir), pgCtl: '/usr/lib/postgresql/15/bin/pg_ctl', libraries: [] };
  await expect(renderDatabaseUnit(spec, server)).toMatchFileSnapshot('golden/postgres-user.service');
  expect(parseDatabaseUnit(renderDatabaseUnit(spec, server))).toEqual(spec);
});

test('a unit that is none of ours was rendered from nothing', () => {
  expect(['', '[X-Cape-Worker]\n', '[X-Cape-Worker]\nscope=system'].map(parseDatabaseUnit)).toEqual([null, null, null]);
});

test('a data folder that the shell of pg_ctl would take for more than a name is refused', () => {
  for (const folder of ['/srv/$HOME', '/srv/a"b', '/srv/a`b'])
    expect(() => renderDatabaseUnit(SYSTEM, at(folder))).toThrow(/must be without quotes/);
});

/** Root's tests can't make a cluster of their own user's; an empty one is enough to be found and removed. */
vi.mock('../../src/db/embedded/index.js', async (original) => ({
  ...(await original<typeof import('../../src/db/embedded/index.js')>()),
  async prepareEmbedded({ dataDir }: { readonly dataDir: string }) {
    const server = at(dataDir);
    mkdirSync(server.cluster, { recursive: true });
    writeFileSync(join(server.cluster, 'PG_VERSION'), '18\n');
    return { ...server, url: 'postgres://cape:secret@127.0.0.1:41465/cape' };
  },
}));

const linux = process.platform === 'linux';
if (!linux) console.log('skipped: the data of the database service: it needs systemd');

test.runIf(linux)("data that was made for a user's service is still so when that is installed again", async () => {
  const machine = fakeMachine();
  machine.login();
  const said: string[] = [];
  const say = (line: string) => void said.push(line);
  const dataDir = join(machine.dir, 'data');
  const host = { ...machine.host, environment: { ...machine.host.environment, CAPE_DATA_DIR: dataDir } };
  machine.afterStart({ ActiveState: 'active' });
  const install = () => installDatabase({ plan: { spec: { scope: 'user' } }, host, say });
  await install();
  await uninstallDatabase('user', { purge: false, say }, host);
  expect(existsSync(join(dataDir, 'postgres/data/PG_VERSION'))).toBe(true);
  await install();
  await uninstallDatabase('user', { purge: true, say }, host);
  expect(said.at(-1)).toBe(`removed the database in ${dataDir}`);
  expect(existsSync(join(dataDir, 'postgres'))).toBe(false);
});

import { expect, test } from 'vitest';
import { type DatabaseSpec, parseDatabaseUnit, renderDatabaseUnit } from '../../src/service/database-unit.js';

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

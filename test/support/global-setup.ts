/** Once per run: choose the server, migrate the template that every test file's database is cloned from. */
import { randomBytes } from 'node:crypto';
import postgres from 'postgres';
import type { TestProject } from 'vitest/node';
import { connect } from '../../src/db/connect.js';
import { migrate } from '../../src/db/migrate.js';
import { grantRights } from '../../src/queue/rights.js';
import { chooseServer } from './server.js';

declare module 'vitest' {
  interface ProvidedContext {
    /** A superuser's URL of a maintenance database. */
    serverUrl: string;
    /** The migrated database to clone. */
    template: string;
    /** A role that has in it what `migrate --grant` gives a worker, and no more. Its password is its name. */
    workerRole: string;
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const server = await chooseServer();
  const run = randomBytes(4).toString('hex');
  const template = `cape_template_${run}`;
  const role = `cape_test_worker_${run}`;
  const admin = postgres(server.url, { max: 1, onnotice: () => {} });
  await admin.unsafe(`create database ${template}`);
  const url = new URL(server.url);
  url.pathname = `/${template}`;
  await migrate({ url: url.href, schema: 'public' });
  await admin.unsafe(`create role ${role} login password '${role}'`);
  const db = connect({ url: url.href, schema: 'public', applicationName: 'cape-test-setup' });
  await grantRights(db, role, 'worker');
  // A template that somebody is connected to can't be cloned.
  await db.close();
  const [row] = await admin`select current_setting('server_version') as version`;
  console.log(`tests use ${server.description} (Postgres ${row?.version})`);
  project.provide('serverUrl', server.url);
  project.provide('template', template);
  project.provide('workerRole', role);

  return async () => {
    const kept = await admin`select datname from pg_database where datname like 'cape_test_%'`;
    await admin.unsafe(`drop database if exists ${template}`);
    // Roles belong to the whole server; kept databases have rights of this one in them.
    if (kept.length === 0) await admin.unsafe(`drop role ${role}`);
    await admin.end();
    await server.stop(kept.length > 0);
  };
}

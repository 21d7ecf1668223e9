/** Once per run: choose the server, migrate the template that every test file's database is cloned from. */
import { randomBytes } from 'node:crypto';
import postgres from 'postgres';
import type { TestProject } from 'vitest/node';
import { migrate } from '../../src/db/migrate.js';
import { chooseServer } from './server.js';

declare module 'vitest' {
  interface ProvidedContext {
    /** A superuser's URL of a maintenance database. */
    serverUrl: string;
    /** The migrated database to clone. */
    template: string;
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const server = await chooseServer();
  const template = `cape_template_${randomBytes(4).toString('hex')}`;
  const admin = postgres(server.url, { max: 1, onnotice: () => {} });
  await admin.unsafe(`create database ${template}`);
  const url = new URL(server.url);
  url.pathname = `/${template}`;
  await migrate({ url: url.href, schema: 'public' });
  const [row] = await admin`select current_setting('server_version') as version`;
  console.log(`tests use ${server.description} (Postgres ${row?.version})`);
  project.provide('serverUrl', server.url);
  project.provide('template', template);

  return async () => {
    const kept = await admin`select datname from pg_database where datname like 'cape_test_%'`;
    await admin.unsafe(`drop database if exists ${template}`);
    await admin.end();
    await server.stop(kept.length > 0);
  };
}

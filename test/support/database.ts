/** A database of its own for a test file, cloned from the migrated template. */
import { randomBytes } from 'node:crypto';
import postgres from 'postgres';
import { afterAll, afterEach, inject } from 'vitest';
import { connect, type Database } from '../../src/db/connect.js';

export interface TestDatabase {
  /** What programs under test are given: a role with a worker's rights alone, where the database is migrated. */
  readonly url: string;
  /** Of a superuser, for what no worker may do. */
  readonly ownerUrl: string;
  readonly schema: string;
  /** As the program connects, by `url`. */
  readonly db: Database;
  /** A plain client for the test's own questions, by `ownerUrl`. */
  readonly sql: postgres.Sql;
  /** Closes both clients. The database itself is dropped at the end of the file. */
  close(): Promise<void>;
}

export interface TestDatabaseOptions {
  /** An empty database instead of a migrated one; everything in it is done by its owner. */
  empty?: boolean;
}

const created: (TestDatabase & { name: string })[] = [];
let failed = false;
/** Each drop is a checkpoint. The tests of stopping have sixty databases, and a busy machine takes over a second each. */
const DROP_MS = 600_000;

/** Gives a new database. It is dropped after the file's last test, unless one failed: then it is kept and named. */
export async function createTestDatabase({ empty = false }: TestDatabaseOptions = {}): Promise<TestDatabase> {
  const name = `cape_test_${process.pid}_${randomBytes(4).toString('hex')}`;
  await asAdmin((admin) => admin.unsafe(`create database ${name} ${empty ? '' : `template ${inject('template')}`}`));
  const url = new URL(inject('serverUrl'));
  url.pathname = `/${name}`;
  const ownerUrl = url.href;
  if (!empty) url.username = url.password = inject('workerRole');
  const schema = 'public';
  const db = connect({ url: url.href, schema, applicationName: 'cape-test', connections: 4 });
  const sql = postgres(ownerUrl, { max: 4, onnotice: () => {}, connection: { application_name: 'cape-test-sql' } });
  const close = async () => {
    await Promise.all([db.close(), sql.end({ timeout: 2 })]);
  };
  const database = { name, url: url.href, ownerUrl, schema, db, sql, close };
  created.push(database);
  return database;
}

// Hooks of this module belong to the file that imports it; registered first, the last one runs after the file's own.
afterEach(({ task }) => {
  if (task.result?.state === 'fail') failed = true;
});

afterAll(async () => {
  const all = created.splice(0);
  await Promise.all(all.map(({ close }) => close()));
  for (const { ownerUrl } of failed ? all : []) console.error(`a test failed; its database is kept: ${ownerUrl}`);
  if (failed) return;
  await asAdmin(async (admin) => {
    for (const { name } of all) await admin.unsafe(`drop database if exists ${name} with (force)`);
  });
}, DROP_MS);

async function asAdmin(work: (admin: postgres.Sql) => Promise<unknown>): Promise<void> {
  const admin = postgres(inject('serverUrl'), { max: 1, onnotice: () => {} });
  try {
    await work(admin);
  } finally {
    await admin.end();
  }
}

/** A database of its own for a test file, cloned from the migrated template. */
import { randomBytes } from 'node:crypto';
import postgres from 'postgres';
import { afterAll, afterEach, inject } from 'vitest';
import { connect, type Database } from '../../src/db/connect.js';

export interface TestDatabase {
  readonly url: string;
  readonly schema: string;
  /** As the program connects. */
  readonly db: Database;
  /** A plain client for the test's own questions. */
  readonly sql: postgres.Sql;
  /** Closes both clients. The database itself is dropped at the end of the file. */
  close(): Promise<void>;
}

export interface TestDatabaseOptions {
  /** An empty database instead of a migrated one. */
  empty?: boolean;
}

const created: (TestDatabase & { name: string })[] = [];
let failed = false;

/** Gives a new database. It is dropped after the file's last test, unless one failed: then it is kept and named. */
export async function createTestDatabase({ empty = false }: TestDatabaseOptions = {}): Promise<TestDatabase> {
  const name = `cape_test_${process.pid}_${randomBytes(4).toString('hex')}`;
  await asAdmin((admin) => admin.unsafe(`create database ${name} ${empty ? '' : `template ${inject('template')}`}`));
  const url = new URL(inject('serverUrl'));
  url.pathname = `/${name}`;
  const schema = 'public';
  const db = connect({ url: url.href, schema, applicationName: 'cape-test', connections: 4 });
  const sql = postgres(url.href, { max: 4, onnotice: () => {}, connection: { application_name: 'cape-test-sql' } });
  const close = async () => {
    await Promise.all([db.close(), sql.end({ timeout: 2 })]);
  };
  const database = { name, url: url.href, schema, db, sql, close };
  created.push(database);
  return database;
}

// Hooks of this module belong to the file that imports it; registered first, the last one runs after the file's own.
afterEach(({ task }) => {
  if (task.result?.state === 'fail') failed = true;
});

afterAll(async () => {
  for (const { name, url, close } of created.splice(0)) {
    await close();
    if (failed) console.error(`a test failed; its database is kept: ${url}`);
    else await asAdmin((admin) => admin.unsafe(`drop database if exists ${name} with (force)`));
  }
});

async function asAdmin(work: (admin: postgres.Sql) => Promise<unknown>): Promise<void> {
  const admin = postgres(inject('serverUrl'), { max: 1, onnotice: () => {} });
  try {
    await work(admin);
  } finally {
    await admin.end();
  }
}

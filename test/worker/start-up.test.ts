/** What a worker does at its start with each thing that a database may have against it: waits, or leaves with 69. */
import { afterEach, describe, expect, test } from 'vitest';
import { createTestDatabase } from '../support/database.js';
import { issuesOf } from '../support/issues.js';
import { startRefusing } from '../support/refusing-server.js';
import { until } from '../support/until.js';
import { startWorker, type TestWorker } from '../support/worker.js';

const { url, sql } = await createTestDatabase();
const empty = await createTestDatabase({ empty: true });
const { add, completed } = issuesOf(sql);

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

const waiting = (worker: TestWorker) => worker.lines.filter((line) => line.includes('trying again until it is back'));

/** A role that may log in, and what it is given. */
async function role(name: string, ...grants: string[]): Promise<string> {
  const full = `cape_${name}_${process.pid}`;
  await sql.unsafe(`create role ${full} login password 'a secret of its own'`);
  closing.push(() => sql.unsafe(`drop owned by ${full}`).then(() => sql.unsafe(`drop role ${full}`)));
  for (const grant of grants) await sql.unsafe(grant.replaceAll('ROLE', full));
  return full;
}

function as(name: string, of: string): string {
  const changed = new URL(of);
  changed.username = name;
  changed.password = 'a secret of its own';
  return changed.href;
}

describe('waits, and says why once, for a server that', () => {
  test.each([
    ['57P03', 'the database system is starting up', 'is starting up or shutting down'],
    ['53300', 'sorry, too many clients already', 'is out of connections'],
  ])('answers %s', async (code, message, words) => {
    const server = await startRefusing(code, message);
    closing.push(() => server.close());
    const worker = startWorker({ databaseUrl: server.url });
    await until(() => server.refused >= 4, { what: 'four tries' });
    const { host } = new URL(server.url);
    expect(waiting(worker)).toHaveLength(1);
    expect(waiting(worker)[0]).toContain(`warn: the database at ${host} ${words} (${message})`);
    expect(worker.lines.join()).not.toContain('secret');
    await worker.stop();
  });

  test('has no connection left for its role, and works as soon as there is one', async () => {
    const name = await role(
      'limited',
      'grant all on all tables in schema public to ROLE',
      'alter role ROLE connection limit 0',
    );
    const id = await add('waits for a connection');
    const worker = startWorker({ databaseUrl: as(name, url) });
    await until(() => waiting(worker).length > 0);
    expect(waiting(worker)[0]).toContain('is out of connections');
    await sql.unsafe(`alter role ${name} connection limit 10`);
    await completed(id);
    expect(waiting(worker)).toHaveLength(1);
    await worker.stop();
    await until(async () => (await sql`select from pg_stat_activity where usename = ${name}`).length === 0);
  });
});

describe('leaves at once, with the reason and the server and without the password, where', () => {
  const refusal = async (databaseUrl: string, settings: object = {}) => {
    const worker = startWorker({ databaseUrl, ...settings });
    const error = await worker.done.then(
      () => null,
      (reason: Error & { kind?: string; exitCode?: number }) => reason,
    );
    expect(waiting(worker)).toEqual([]);
    expect(error?.message).not.toContain('secret');
    expect(error).toMatchObject({ kind: 'database', exitCode: 69 });
    return error!.message;
  };

  test('the password is wrong', async () => {
    const server = await startRefusing('28P01', 'password authentication failed for user "cape"');
    closing.push(() => server.close());
    const { host } = new URL(server.url);
    expect(await refusal(server.url)).toBe(
      `the database at ${host} refuses the login (password authentication failed for user "cape"); check DATABASE_URL`,
    );
    expect(server.refused).toBe(1);
  });

  test('the database does not exist', async () => {
    const wrong = new URL(url);
    wrong.pathname = '/no_such_database';
    expect(await refusal(wrong.href)).toMatch(/ does not exist \(database "no_such_database" does not exist\)/);
  });

  test('TLS is asked for and not to be had', async () => {
    const [row] = await sql`select current_setting('ssl') as ssl`;
    if (row?.ssl === 'on') return console.log('skipped: this server has TLS');
    const asking = new URL(url);
    asking.searchParams.set('sslmode', 'require');
    expect(await refusal(asking.href)).toMatch(/do not agree on TLS .*does not offer TLS.*; check sslmode/);
  });

  test('there are no tables and no right to make them', async () => {
    const name = await role('poor');
    expect(await refusal(as(name, empty.url), { migrate: true })).toMatch(
      /^the schema public lacks 001_issues, .*; run "cape-worker migrate" with a role that may change it$/,
    );
  });

  test('there are no tables and it was told not to make them', async () => {
    expect(await refusal(empty.url, { migrate: false })).toMatch(/^the schema public lacks 001_issues/);
  });
});

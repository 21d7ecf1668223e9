/** `migrate --grant`, and what a role that it made can do with every command and a worker. */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { issuesOf } from '../support/issues.js';
import { cli, emptyFolder } from './run-cli.js';

const run = randomBytes(4).toString('hex');
const worker = `cape worker "${run}:a"`;
const producer = `cape_producer_${run}`;
const reader = `cape_reader_${run}`;
const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`;
let t: TestDatabase;

beforeAll(async () => {
  t = await createTestDatabase({ empty: true });
  for (const name of [worker, producer, reader])
    await t.sql.unsafe(`create role ${quoted(name)} login password 'se-cret'`);
});

afterAll(async () => {
  for (const name of [worker, producer, reader])
    await t.sql.unsafe(`drop owned by ${quoted(name)}; drop role ${quoted(name)}`);
});

const asOwner = (...args: string[]) => cli(args, { env: { DATABASE_URL: t.ownerUrl } });

/** Runs a command as one of the roles. */
function as(role: string, ...args: string[]) {
  const url = new URL(t.url);
  url.username = encodeURIComponent(role);
  url.password = 'se-cret';
  return cli(args, { env: { DATABASE_URL: url.href }, cwd: emptyFolder() });
}

describe('migrate --grant', () => {
  test('refuses a role that does not exist, before anything is migrated', async () => {
    expect(await asOwner('migrate', '--grant', worker, '--grant', 'nobody-here')).toMatchObject({
      code: 64,
      stdout: '',
      stderr: expect.stringMatching(
        /^cape-worker: --grant: got "nobody-here"; there is no such role: create it first.*\n$/,
      ),
    });
    expect(await asOwner('migrate', '--grant', `${worker}:foo`)).toMatchObject({
      code: 64,
      stderr: expect.stringMatching(/; the kind "foo" is not one of worker, producer, reader, nor is there a role/),
    });
    const [row] = await t.sql`select to_regclass('cape_issues') is null as untouched`;
    expect(row?.untouched).toBe(true);
  });

  test('refuses nothing for a name, and a look that changes nothing', async () => {
    expect(await asOwner('migrate', '--grant', ':worker')).toMatchObject({ code: 64 });
    expect(await asOwner('migrate', '--grant', worker, '--status')).toMatchObject({
      code: 64,
      stderr: expect.stringContaining('--status'),
    });
    // PUBLIC is no role.
    expect(await asOwner('migrate', '--grant', 'public')).toMatchObject({ code: 64 });
  });

  test('migrates, grants several roles, and may be repeated', async () => {
    const grants = ['--grant', worker, '--grant', `${producer}:producer`, '--grant', `${reader}:reader`];
    expect(await asOwner('migrate', ...grants)).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(
        new RegExp(`^migrated to \\d+\nrole "cape worker "${run}:a"" has what a worker needs\nrole "${producer}" has`),
      ),
    });
    const again = await asOwner('migrate', ...grants, '--json');
    expect(again).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(again.stdout)).toEqual({
      applied: [],
      version: expect.any(Number),
      granted: [
        { role: worker, kind: 'worker', beyond: [] },
        { role: producer, kind: 'producer', beyond: [] },
        { role: reader, kind: 'reader', beyond: [] },
      ],
    });
  });

  test('mentions what a role could do besides', async () => {
    await t.sql.unsafe(`grant truncate on cape_issues to ${quoted(reader)}`);
    expect(await asOwner('migrate', '--grant', `${reader}:reader`)).toMatchObject({
      code: 0,
      stderr: `cape-worker: role "${reader}" has more than a reader needs: may TRUNCATE on cape_issues\n`,
    });
    await t.sql.unsafe(`revoke truncate on cape_issues from ${quoted(reader)}`);
  });

  test('by a role that may not grant says so', async () => {
    expect(await as(worker, 'migrate', '--grant', reader)).toMatchObject({
      code: 69,
      stderr: expect.stringMatching(/^cape-worker: .*grant as the owner of the schema and its tables\n$/),
    });
  });
});

describe('as a role of its own', () => {
  test('a worker starts, works, and says nothing about rights', async () => {
    const { completed, add } = issuesOf(t.sql);
    const id = await add('hello');
    const ended = await as(worker, 'run', '--worker-id', 'granted-1', '--command', 'echo {description}', '--drain');
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    expect(ended.stdout).not.toMatch(/WARNING|ERROR|may not/);
    expect((await completed(id)).result).toBe('hello\n');
  });

  test('every command of a worker works', async () => {
    const added = await as(worker, 'issues', 'add', '--worker', 'granted-1', 'to be handled');
    const id = added.stdout.trim();
    for (const args of [
      ['issues', 'list'],
      ['issues', 'show', id],
      ['issues', 'assign', id, '-'],
      ['pause'],
      ['pause', '--worker', 'granted-1'],
      ['resume'],
      ['issues', 'cancel', id],
      ['issues', 'retry', id],
      ['issues', 'delete', id],
      ['issues', 'logs', '1'],
      ['workers'],
      ['status'],
      ['migrate'],
      ['migrate', '--status'],
    ]) {
      expect(await as(worker, ...args), args.join(' ')).toMatchObject({ code: 0, stderr: '' });
    }
    expect(added).toMatchObject({ code: 0, stderr: '' });
    const checked = await as(worker, 'check', '--command', 'true', '--worker-id', 'granted-2');
    expect(checked.stdout).toMatch(/✓ rights: role "cape worker .*" has what a worker needs/);
    expect(checked.code).toBe(0);
  });

  test('a producer adds and looks, and nothing else', async () => {
    const added = await as(producer, 'issues', 'add', '--worker', 'nobody', 'from a producer');
    expect(added).toMatchObject({ code: 0, stdout: expect.stringMatching(/^\d+\n$/), stderr: '' });
    const id = added.stdout.trim();
    expect(await as(producer, 'issues', 'list')).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('producer'),
    });
    for (const args of [['issues', 'cancel', id], ['issues', 'delete', id], ['pause'], ['workers']]) {
      expect(await as(producer, ...args), args.join(' ')).toMatchObject({
        code: 78,
        stdout: '',
        stderr: expect.stringMatching(/^cape-worker: database ".*:\*\*\*@.*": permission denied for .*\n$/),
      });
    }
  });

  test('a reader sees everything and changes nothing', async () => {
    for (const args of [['issues', 'list'], ['issues', 'show', '1'], ['workers'], ['status']])
      expect(await as(reader, ...args), args.join(' ')).toMatchObject({ code: 0, stderr: '' });
    expect(await as(reader, 'issues', 'add', 'x')).toMatchObject({ code: 78, stdout: '' });
  });

  test('one that lacks a right is told which by check, and by a worker that it needs a grant', async () => {
    const checked = await as(producer, 'check', '--command', 'true', '--worker-id', 'x');
    expect(checked.stdout).toMatch(/✗ rights: role "cape_producer_.*" lacks .*migrate --grant/);
    expect(checked.code).not.toBe(0);
    const started = await as(reader, 'run', '--worker-id', 'x', '--command', 'true', '--drain');
    expect(started).toMatchObject({ code: 69, stderr: expect.stringContaining('cape-worker migrate --grant') });
  });

  test('one that may not look into the schema is told so by every command, not that nothing is there', async () => {
    const shut = await createTestDatabase();
    await shut.sql`revoke usage on schema public from public`;
    const url = new URL(shut.url);
    url.username = reader;
    url.password = 'se-cret';
    const tried = (...args: string[]) => cli(args, { env: { DATABASE_URL: url.href }, cwd: emptyFolder() });
    const refused = /^cape-worker: [^\n]*permission denied for schema public[^\n]*migrate --grant[^\n]*\n$/;
    for (const args of [['status'], ['issues', 'add', 'x'], ['migrate', '--status']])
      expect(await tried(...args), args.join(' ')).toMatchObject({ code: 78, stderr: expect.stringMatching(refused) });
    for (const more of [[], ['--no-migrate']])
      expect(await tried('run', '--worker-id', 'x', '--command', 'true', '--drain', ...more)).toMatchObject({
        code: 69,
        stderr: expect.stringMatching(refused),
      });
    expect(await tried('migrate')).toMatchObject({
      code: 69,
      stderr: expect.stringMatching(/ may not: permission denied for schema public; .*as a role that owns the schema/),
    });
    const checked = await tried('check', '--command', 'true', '--worker-id', 'x');
    expect(checked.stdout).toMatch(/✗ schema: permission denied for schema public/);
    expect(checked.stdout).toMatch(/✗ rights: role .* lacks USAGE on schema public, .*migrate --grant/);
    expect(checked.code).toBe(78);
  });

  test('a newer program finds that it may not migrate, and only checks the version', async () => {
    await t.sql`delete from cape_migrations where version = (select max(version) from cape_migrations)`;
    const started = await as(worker, 'run', '--worker-id', 'x', '--command', 'true', '--drain');
    expect(started.stdout).toContain('this database role may not change the schema; checking its version only');
    expect(started).toMatchObject({
      code: 69,
      stderr: expect.stringMatching(/lacks .*with a role that may change it/),
    });
  });
});

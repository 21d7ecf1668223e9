/** The commands about workers, the queue as a whole, the schema and the settings. */
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { actor } from '../queue/actors.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { cli, emptyFolder, type RunOptions } from './run-cli.js';

let t: TestDatabase;
const run = (args: readonly string[], options: RunOptions = {}) =>
  cli(args, { ...options, env: { DATABASE_URL: t.url, ...options.env } });

beforeAll(async () => {
  t = await createTestDatabase();
});

describe('workers and status', () => {
  test('show who runs, is paused, has stopped or was not heard of, and which issues wait for nobody', async () => {
    for (const id of ['runs-1', 'waits-1', 'gone-1', 'silent-1']) await actor(t.db, id);
    await t.sql`update cape_workers set stopped_at = now() where id = 'gone-1'`;
    await t.sql`update cape_workers set heartbeat_at = now() - interval '50 seconds' where id = 'silent-1'`;
    await t.sql`insert into cape_issues (description, assigned_worker_id) values ('a', 'silent-1'), ('b', 'nobody-1')`;
    expect(await run(['pause', '--worker', 'waits-1'])).toMatchObject({
      code: 0,
      stdout: 'worker waits-1 is paused\n',
      stderr: '',
    });

    const { stdout } = await run(['workers']);
    for (const [id, state] of Object.entries({ runs: 'running', waits: 'paused', gone: 'stopped', silent: 'stale' })) {
      expect(stdout).toMatch(new RegExp(`^${id}-1 +${state} +test-host +${process.pid} +0/1 `, 'm'));
    }
    expect(JSON.parse((await run(['workers', '--json'])).stdout)).toHaveLength(4);

    const status = await run(['status']);
    expect(status.stdout).toMatch(/^pending +2$/m);
    expect(status.stdout).toContain('1 pending for worker nobody-1, which has never been seen');
    expect(status.stdout).toContain('1 pending for worker silent-1, which is not running');
    expect(status.stdout).toContain('worker waits-1 is paused: cape-worker resume --worker waits-1');
    expect(JSON.parse((await run(['status', '--json'])).stdout)).toMatchObject({
      pending: 2,
      paused: { everybody: false, workers: ['waits-1'] },
    });
  });

  test('a pause of all outlasts the resuming of one', async () => {
    await run(['pause']);
    const one = await run(['resume', '--worker', 'waits-1']);
    expect(one.stdout).toContain('not paused by itself, but all workers are');
    expect(await run(['resume'])).toMatchObject({ code: 0, stdout: 'all workers claim again\n' });
    expect(await t.sql`select 1 from cape_pauses`).toHaveLength(0);
    expect(await run(['pause', '--worker', '*'])).toMatchObject({ code: 64 });
  });

  test('the pause of a worker that nobody has seen is remembered, and mentioned', async () => {
    expect(await run(['pause', '--worker', 'nobody-8'])).toMatchObject({
      code: 0,
      stdout: 'worker nobody-8 is paused\n',
      stderr: 'cape-worker: no worker of that name has been seen yet: nobody-8\n',
    });
    await run(['resume', '--worker', 'nobody-8']);
  });
});

describe('migrate', () => {
  test('makes the schema, says what it did, and does nothing the second time', async () => {
    const empty = await createTestDatabase({ empty: true });
    const env = { DATABASE_URL: empty.url, CAPE_SCHEMA: 'of_mine' };
    expect((await cli(['migrate', '--status'], { env })).stdout).toMatch(/^pending {2}001_issues$/m);
    const first = await cli(['migrate'], { env });
    expect(first).toMatchObject({ code: 0, stdout: expect.stringMatching(/^migrated to \d+\n$/) });
    expect(first.stderr).toContain('migration 001_issues applied');
    expect((await cli(['migrate'], { env })).stdout).toMatch(/^up to date, at migration \d+\n$/);
    expect((await cli(['migrate', '--status', '--json'], { env })).stdout).toContain('"pending": []');
    expect(await cli(['issues', 'add', 'x'], { env })).toMatchObject({ code: 0, stdout: '1\n' });
  });
});

describe('check', () => {
  test('says a line for each thing and exits 0 where a worker could run, without making anything', async () => {
    const cwd = emptyFolder();
    const { code, stdout } = await run(['check', '--command', 'sh -c true', '--worker-id', 'w-1'], { cwd });
    expect(code).toBe(0);
    for (const what of [
      'configuration',
      'database: Postgres',
      'schema',
      'LISTEN: notifications are heard',
      'command: sh -c true',
      'log folder',
      'control groups',
    ]) {
      expect(stdout).toContain(`✓ ${what}`);
    }
    expect(stdout).not.toMatch(/✗|\u001b/);
    expect(existsSync(join(cwd, 'logs'))).toBe(false);
  });

  test('exits 78 and names what is missing; a misspelt variable and a worker of the old system are mentioned', async () => {
    await t.sql`insert into cape_issues (description, status) values ('runs elsewhere', 'started')`;
    const cwd = emptyFolder();
    writeFileSync(join(cwd, 'logs'), 'a file');
    const { code, stdout } = await run(['check'], { cwd, env: { PATH: cwd, CAPE_WORKER_IDD: 'w' } });
    expect(code).toBe(78);
    expect(stdout).toContain('✗ command: no command to run: give one by --command');
    expect(stdout).toMatch(/✗ log folder: --log-dir: ".*logs" is no folder/);
    expect(stdout).toContain(
      '! configuration: environment: unknown variable CAPE_WORKER_IDD; did you mean CAPE_WORKER_ID?',
    );
    expect(stdout).toContain('! queue: 1 issues started by a program that knows no leases');
  });

  test('a bad setting and an unreachable database', async () => {
    expect(await run(['check'], { env: { CAPE_LEASE: 'x' } })).toMatchObject({
      code: 78,
      stdout: expect.stringContaining('✗ configuration: CAPE_LEASE: got "x"'),
    });
    const away = await run(['check', '--json'], { env: { DATABASE_URL: 'postgres://me:geheim@127.0.0.1:1/x' } });
    expect(away.code).toBe(78);
    expect(JSON.parse(away.stdout)).toContainEqual({
      what: 'database',
      ok: false,
      detail: expect.stringContaining('ECONNREFUSED'),
    });
    expect(away.stdout).not.toContain('geheim');
  });

  test('a database that is read-only, where a worker would wait for ever', async () => {
    const readOnly = `${t.url}?options=-c%20default_transaction_read_only%3Don`;
    const { code, stdout } = await run(['check', '--command', 'true'], { env: { DATABASE_URL: readOnly } });
    expect(code).toBe(78);
    expect(stdout).toContain('✗ writes: the database is read-only (default_transaction_read_only is on)');
  });

  test('starts no embedded Postgres', async () => {
    const cwd = emptyFolder();
    const env = { CAPE_DATA_DIR: join(cwd, 'data') };
    const { stdout } = await cli(['check', '--command', 'true'], { cwd, env });
    expect(stdout).toMatch(
      /! database: embedded, since DATABASE_URL is not set: data in .*data, absent; a worker starts it/,
    );
    expect(existsSync(join(cwd, 'data'))).toBe(false);
  });
});

describe('config', () => {
  test('shows every value, where it came from, and no password', async () => {
    const cwd = emptyFolder();
    writeFileSync(join(cwd, '.env'), 'CAPE_GRACE=7s\nDATABASE_URL=postgres://me:geheim@db.example/cape\n');
    const env = { CAPE_TIMEOUT: '90m' };
    const { code, stdout } = await cli(['config', '--lease', '60'], { cwd, env });
    expect(code).toBe(0);
    expect(stdout).toMatch(/^lease +60 +flag +CAPE_LEASE$/m);
    expect(stdout).toMatch(/^timeout +90m +environment +CAPE_TIMEOUT$/m);
    expect(stdout).toMatch(/^grace +7s +\/.*\/\.env +CAPE_GRACE$/m);
    expect(stdout).toMatch(/^concurrency +1 +default +CAPE_CONCURRENCY$/m);
    expect(stdout).toMatch(/^database-url +postgres:\/\/me:\*\*\*@db\.example\/cape +\/.*\/\.env +DATABASE_URL$/m);
    const rows = JSON.parse((await cli(['config', '--json'], { cwd, env })).stdout);
    expect(rows).toContainEqual({ setting: 'worker-id', value: null, from: 'default', variable: 'CAPE_WORKER_ID' });
    expect(JSON.stringify(rows)).not.toContain('geheim');
  });
});

describe('completion', () => {
  /** What bash offers at the end of a line. */
  const offered = (script: string, line: string) => {
    const words = line.split(' ');
    const ask = `${script}\nCOMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length - 1}\n_cape_worker\nprintf '%s\\n' "\${COMPREPLY[@]}"`;
    return execFileSync('bash', ['-c', ask], { encoding: 'utf8' }).split('\n').filter(Boolean);
  };

  test('offers commands, their second words and their options', async () => {
    const { code, stdout } = await cli(['completion', 'bash']);
    expect(code).toBe(0);
    expect(offered(stdout, 'cape-worker is')).toEqual(['issues']);
    expect(offered(stdout, 'cape-worker issues re')).toEqual(['retry']);
    expect(offered(stdout, 'cape-worker issues add --pri')).toEqual(['--priority']);
    expect(offered(stdout, 'cape-worker --worker')).toEqual(['--worker-id']);
    expect(offered(stdout, 'cape-worker db status --j')).toEqual(['--json']);
  });

  test('is for zsh where that is the shell, and for no other', async () => {
    expect((await cli(['completion'], { env: { SHELL: '/usr/bin/zsh' } })).stdout).toContain('bashcompinit');
    expect(await cli(['completion', 'fish'])).toMatchObject({
      code: 64,
      stderr: 'cape-worker: completion: got "fish"; must be one of bash, zsh\n',
    });
  });
});

test('a folder that cannot be written to is found, unless one is root, who can write anywhere', async () => {
  const cwd = emptyFolder();
  chmodSync(cwd, 0o555);
  const { stdout } = await run(['check', '--command', 'true'], { cwd });
  if (process.getuid?.() === 0) expect(stdout).toContain('✓ log folder');
  else expect(stdout).toMatch(/✗ log folder: .* can't be written to/);
});

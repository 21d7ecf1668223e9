/** The issue commands as processes, against a real database. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { beforeAll, describe, expect, test } from 'vitest';
import { type Parsed, parse } from '../../src/cli/program.js';
import { createClient } from '../../src/client.js';
import { settle } from '../../src/queue/settle.js';
import { type Actor, actor, claimAs, done, ended } from '../queue/actors.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { startRefusing } from '../support/refusing-server.js';
import { until } from '../support/until.js';
import { cli, emptyFolder, type RunOptions, start } from './run-cli.js';

let t: TestDatabase;
let worker: Actor;
const issues = (args: readonly string[], options: RunOptions = {}) =>
  cli(['issues', ...args], { ...options, env: { DATABASE_URL: t.url, ...options.env } });

beforeAll(async () => {
  t = await createTestDatabase();
  worker = await actor(t.db, 'alleycat-1');
});

async function added(...args: string[]): Promise<number> {
  const { code, stdout, stderr } = await issues(['add', ...args]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toMatch(/^\d+\n$/);
  return Number(stdout);
}

/** What a worker would: "bad" fails, anything else succeeds. */
async function settleAll(): Promise<void> {
  const claims = await claimAs(t.db, worker);
  await settle(
    t.db,
    claims.map((claimed) =>
      claimed.issue.description === 'bad'
        ? ended(claimed, { action: 'finish', status: 'failed', charge: 'failure' }, 'failed', { error: 'exit code 3' })
        : done(claimed, { result: 'merged as \u001b[1m#12' }),
    ),
  );
}

async function issue(id: number) {
  const [row] = await t.sql`select * from cape_issues where id = ${id}`;
  return row;
}

describe('issues add', () => {
  test('prints only the id, and stores every option', async () => {
    const cwd = emptyFolder();
    const text = '-x "y"\n\u0007 ünï\n';
    writeFileSync(join(cwd, 'issue.md'), text);
    const options = [
      '--priority',
      '-3',
      '--worker',
      'w-1',
      '--max-attempts',
      '0',
      '--timeout',
      '90s',
      '--run-at',
      '+10m',
    ];
    const { stdout } = await issues(['add', '--file', 'issue.md', '--key', 'k-1', ...options], { cwd });
    expect(await issue(Number(stdout))).toMatchObject({
      description: text,
      priority: -3,
      assigned_worker_id: 'w-1',
      max_attempts: 0,
      timeout_seconds: 90,
      key: 'k-1',
      run_at: expect.any(Date),
    });
  });

  test('takes the text from standard input, and a key gives the id of the unfinished one', async () => {
    const first = await issues(['add', '-', '--key', 'nightly'], { input: 'from a pipe\n' });
    const again = await added('something else', '--key', 'nightly');
    expect(again).toBe(Number(first.stdout));
    expect((await issue(again))?.description).toBe('from a pipe\n');
  });

  test.each([
    [['  \n'], 'text: got "  \\n"; must not be empty'],
    [[], 'text: got nothing; give it in quotes, by --file, or - for stdin'],
    [['x', '--file', 'y'], '--file: got a text as well; choose one of the two'],
    [['--file', 'missing.md'], `--file: got "missing.md"; can't be read: ENOENT: no such file`],
    [['x', '--priority', '1e9'], '--priority: got "1e9"; must be a whole number from -32768 to 32767'],
    [['x', '--max-attempts', '-1'], '--max-attempts: got "-1"; must be a whole number from 0 to 32767'],
    [['x', '--worker', 'a..b'], '--worker: got "a..b"; must not contain ".."'],
    [['x', '--timeout', '5 years'], '--timeout: got "5 years"; must be seconds or a number with ms, s, m, h or d'],
    [['x', '--run-at', '2026-02-30'], '--run-at: got "2026-02-30"; must be a date such as'],
    [['x', '--run-at', '+soon'], '--run-at: got "soon"; must be seconds'],
  ])('%j is refused: %s', async (args, message) => {
    const parsed = (await parse(['issues', 'add', ...args])) as Extract<Parsed, { kind: 'command' }>;
    // Refused before any database is looked for, so there is no need of a process of its own.
    await expect(parsed.command.run(parsed)).rejects.toMatchObject({
      kind: 'usage',
      message: expect.stringContaining(message),
    });
  });

  test('bytes that are no text are refused', async () => {
    const broken = await issues(['add', '-'], { input: Buffer.from([0x66, 0xff]) });
    expect(broken).toMatchObject({
      code: 64,
      stderr: expect.stringContaining('standard input: got bytes that are not UTF-8'),
    });
    const nul = await issues(['add', '-'], { input: 'a\0b' });
    expect(nul).toMatchObject({ code: 64, stderr: expect.stringContaining('must not contain NUL') });
  });

  test('--json prints the id as JSON, and a worker that nobody has seen is mentioned beside it', async () => {
    const { code, stdout, stderr } = await issues(['add', 'for later', '--worker', 'nobody-9', '--json']);
    expect({ code, stderr }).toEqual({
      code: 0,
      stderr: 'cape-worker: no worker of that name has been seen yet: nobody-9\n',
    });
    expect(await issue(JSON.parse(stdout).id)).toMatchObject({ description: 'for later' });
  });

  test('--wait prints the id, then the result; exit 1 where it failed', async () => {
    const waiting = (...args: string[]) =>
      start(['issues', 'add', '--wait', ...args], { env: { DATABASE_URL: t.url } });
    const [good, bad, json] = [waiting('good'), waiting('bad'), waiting('good', '--json')];
    const allEnded = Promise.all([good.ended, bad.ended, json.ended]).then(() => 'ended');
    while ((await Promise.race([allEnded, settleAll()])) !== 'ended') await setTimeout(20);
    expect(await good.ended).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^\d+\nmerged as \\u001b\[1m#12\n$/),
    });
    expect(await bad.ended).toMatchObject({
      code: 1,
      stdout: expect.stringMatching(/^\d+\n$/),
      stderr: expect.stringMatching(/^cape-worker: issue \d+: failed: exit code 3\n$/),
    });
    const [first, second] = (await json.ended).stdout.trimEnd().split('\n');
    const { id } = JSON.parse(first ?? '');
    expect(JSON.parse(second ?? '')).toMatchObject({ id, status: 'completed', result: 'merged as \u001b[1m#12' });
  });
});

test('Ctrl-C ends the waiting and not the issue', async () => {
  const waiting = start(['issues', 'add', 'goes on', '--wait', '--run-at', '+1h'], { env: { DATABASE_URL: t.url } });
  const id = await until(() => Number(waiting.output().stdout));
  waiting.process.kill('SIGINT');
  expect(await waiting.ended).toMatchObject({
    code: 1,
    stderr: `cape-worker: issue ${id}: no longer waited for; it goes on\n`,
  });
  expect(await issue(id)).toMatchObject({ status: 'pending' });
});

describe('issues list and show', () => {
  test('a hostile text stays on its line and steers no terminal', async () => {
    const id = await added('first\u001b]0;owned\u0007 line\nsecond line');
    const listed = await issues(['list', '--search', 'owned']);
    expect(listed.stdout.split('\n')).toHaveLength(3);
    expect(listed.stdout).toContain('first\\u001b]0;owned\\u0007 line');
    await t.sql`update cape_issues set last_error = ${'\u001b[2J gone'} where id = ${id}`;
    const shown = await issues(['show', String(id)]);
    expect(shown.stdout).toContain('second line');
    expect(shown.stdout).toContain('\\u001b[2J gone');
    expect(`${listed.stdout}${shown.stdout}`).not.toContain('\u001b');
  });

  test('--json gives the rows as they are, newest first', async () => {
    const id = await added('as json');
    const listed = JSON.parse((await issues(['list', '--limit', '1', '--json'])).stdout);
    expect(listed).toMatchObject([{ id, description: 'as json', status: 'pending', run_at: null }]);
    const shown = JSON.parse((await issues(['show', String(id), '--json'])).stdout);
    expect(shown).toMatchObject({ id, attempts: [], created_at: expect.stringMatching(/^\d{4}-.*Z$/) });
  });

  test('show tells of each attempt, and the end of the output', async () => {
    const id = await added('to be shown', '--worker', worker.id);
    const [claimed] = await claimAs(t.db, worker);
    await settle(t.db, [
      ended(claimed!, { action: 'finish', status: 'failed', charge: 'failure' }, 'failed', {
        error: 'exit code 9',
        exitCode: 9,
        tail: 'what it said last\n',
      }),
    ]);
    const { stdout } = await issues(['show', String(id)]);
    expect(stdout).toMatch(/1 +alleycat-1 .* failed \(exit 9\) +exit code 9/);
    expect(stdout).toContain('end of the output of attempt 1\nwhat it said last\n');
  });

  test('show prints a result that is the end of the output once, and last', async () => {
    const id = await added('says it once', '--worker', worker.id);
    const [claimed] = await claimAs(t.db, worker);
    await settle(t.db, [done(claimed!, { result: 'all is well', tail: 'all is well\n' })]);
    const { stdout } = await issues(['show', String(id)]);
    expect(stdout.match(/all is well/g)).toHaveLength(1);
    expect(stdout).toMatch(/end of the output of attempt 1, the result\nall is well\n$/);
  });

  test('show names the error of a running issue as an earlier one', async () => {
    const id = await added('runs again', '--worker', worker.id);
    await claimAs(t.db, worker);
    await t.sql`update cape_issues set last_error = 'exit code 4' where id = ${id}`;
    expect((await issues(['show', String(id)])).stdout).toMatch(/^earlier error +exit code 4$/m);
  });

  test('several statuses are listed together, and a text of several lines has a mark', async () => {
    const [first, second] = [await added('two\nlines'), await added('one line')];
    await issues(['cancel', String(first)]);
    const { stdout } = await issues(['list', '--status', 'cancelled', '--status', 'failed,pending', '--limit', '2']);
    expect(stdout).toMatch(new RegExp(`^${second} +pending .* one line\\n${first} +cancelled .* two …$`, 'm'));
  });

  test('an unknown status, a bad id and an id that is not there', async () => {
    expect(await issues(['list', '--status', 'done'])).toMatchObject({
      code: 64,
      stderr: 'cape-worker: --status: got "done"; must be one of pending, started, completed, failed, cancelled\n',
    });
    expect(await issues(['show', '12x'])).toMatchObject({
      code: 64,
      stderr: expect.stringContaining('issue id: got "12x"'),
    });
    expect(await issues(['show', '999999'])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('issue 999999: there is none'),
    });
  });
});

describe('issues retry, cancel, assign, delete', () => {
  test('of several ids all are tried, each is said, and one refusal is exit 1', async () => {
    const [a, b] = [await added('a'), await added('b')];
    const { code, stdout, stderr } = await issues(['cancel', String(a), '999999', String(b)]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: `issue ${a}: cancelled\nissue ${b}: cancelled\n` });
    expect(stderr).toBe('cape-worker: issue 999999: there is none; see cape-worker issues list\n');
    const retried = await issues(['retry', String(a), String(b)]);
    expect(retried).toMatchObject({ code: 0, stdout: `issue ${a}: will run again\nissue ${b}: will run again\n` });
    expect(await issues(['delete', String(a), String(b)])).toMatchObject({ code: 0 });
    expect(await issue(a)).toBeUndefined();
  });

  test('a running issue: cancel says who ends it, retry and delete are refused', async () => {
    const id = String(await added('runs', '--worker', worker.id));
    await claimAs(t.db, worker);
    expect(await issues(['retry', id])).toMatchObject({
      code: 1,
      stderr: `cape-worker: issue ${id}: is running; cancel it first\n`,
    });
    expect(await issues(['delete', id])).toMatchObject({ code: 1 });
    expect(await issues(['cancel', id])).toMatchObject({
      code: 0,
      stdout: `issue ${id}: worker alleycat-1 is ending it\n`,
    });
  });

  test('assign directs, "-" and --anyone let any worker take it', async () => {
    const id = await added('whose?');
    expect(await issues(['assign', String(id), 'w-7'])).toMatchObject({ stdout: `issue ${id}: directed to w-7\n` });
    expect((await issue(id))?.assigned_worker_id).toBe('w-7');
    expect(await issues(['assign', String(id), '-'])).toMatchObject({ code: 0 });
    expect((await issue(id))?.assigned_worker_id).toBeNull();
    expect(await issues(['assign', String(id)])).toMatchObject({ code: 64 });
    expect(await issues(['assign', String(id), 'no/slash'])).toMatchObject({ code: 64 });
  });
});

describe('the database', () => {
  test('out of reach, refusing the login, or not migrated: one line without the password', async () => {
    const away = await issues(['list'], { env: { DATABASE_URL: 'postgres://me:geheim@127.0.0.1:1/x' } });
    expect(away).toMatchObject({ code: 69, stderr: expect.stringMatching(/ECONNREFUSED.*check DATABASE_URL/) });
    const missing = new URL(t.url);
    missing.pathname = '/no_such_database';
    expect(await issues(['list'], { env: { DATABASE_URL: missing.href } })).toMatchObject({ code: 69 });
    const elsewhere = await issues(['list', '--schema', 'not_there']);
    expect(elsewhere).toMatchObject({ code: 78, stderr: expect.stringContaining('run: cape-worker migrate') });
    const server = await startRefusing('53300', 'sorry, too many clients already');
    const full = await issues(['list'], { env: { DATABASE_URL: server.url } });
    await server.close();
    expect(full).toMatchObject({
      code: 69,
      stderr: expect.stringMatching(/is out of connections \(sorry, too many .*\); each worker takes three/),
    });
    for (const { stderr } of [away, elsewhere, full]) {
      expect(stderr.trimEnd()).not.toContain('\n');
      expect(stderr).not.toMatch(/geheim|secret/);
    }
  });
});

test('a reader that has seen enough ends the program in peace', async () => {
  const client = createClient({ databaseUrl: t.url });
  await client.addMany(
    Array.from({ length: 3000 }, (_, i) => ({ description: `issue number ${i} with some text to print` })),
  );
  await client.close();
  const running = start(['issues', 'list', '--limit', '3000', '--json'], { env: { DATABASE_URL: t.url } });
  running.process.stdout?.once('data', () => running.process.stdout?.destroy());
  expect(await running.ended).toMatchObject({ code: 0, stderr: '' });
});

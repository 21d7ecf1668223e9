/** `top` as people use it: in a terminal, on a queue that a real worker works off. */
import { writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { isRunning, issuesOf } from '../support/issues.js';
import { startProxy } from '../support/proxy.js';
import { hasTerminal, type PtyTerminal, startInTerminal } from '../support/terminal.js';
import { until } from '../support/until.js';
import { startWorker, type TestWorker } from '../support/worker.js';
import { cli, emptyFolder, MAIN, start } from './run-cli.js';

let t: TestDatabase;
let issues: ReturnType<typeof issuesOf>;

beforeEach(async () => {
  t = await createTestDatabase();
  issues = issuesOf(t.sql);
});

/** A worker whose commands do what the issue's text says. */
function worker(): TestWorker {
  return startWorker({ databaseUrl: t.url, workerId: 'alleycat-1', command: 'sh -c {description}', concurrency: 2 });
}

function top(columns = 100, rows = 30, env: Record<string, string> = {}): PtyTerminal {
  return startInTerminal(['--', MAIN, 'top'], {
    ...{ columns, rows, cwd: emptyFolder() },
    env: { DATABASE_URL: t.url, ...env },
  });
}

describe.runIf(hasTerminal)('in a terminal', () => {
  test('shows a running issue, follows its output, cancels it, and leaves the terminal as it was', async () => {
    worker();
    const id = await issues.add('for i in $(seq 100); do echo line $i of 100; sleep 0.2; done; sleep 60');
    const screen = top();
    await screen.shows(new RegExp(`> ${id} +\\d+s +1 +alleycat-1 +for i in`));
    expect(screen.isAlternate).toBe(true);
    await screen.shows('pending 0   running 1/2');
    await screen.shows(/alleycat-1 +running +1\/2/);

    screen.press('\r');
    await screen.shows(new RegExp(`issue ${id} +started +try 1 .* on alleycat-1`));
    await screen.shows('line 1 of 100');
    await screen.shows('line 5 of 100');
    // What was added is read by two clocks, and shown once.
    const seen = screen.lines().filter((line) => line.startsWith('line '));
    expect(seen).toEqual([...new Set(seen)]);
    screen.press('c');
    await screen.shows(`cancel issue ${id}? y / n`);
    screen.press('y');
    await screen.shows(`issue ${id}: worker alleycat-1 is ending it`);
    await screen.shows(new RegExp(`issue ${id} +cancelled`));
    expect((await issues.ended(id)).status).toBe('cancelled');

    screen.press('\u001b');
    await screen.shows(/ENDED[\s\S]*cancelled +for i in/);
    screen.press('q');
    expect(await screen.ended).toBe(0);
    expect(screen.isAlternate).toBe(false);
    expect(screen.lines().slice(0, 3)).toEqual(['before', 'after', '']);
    // The cursor is shown again, and lines wrap.
    expect(screen.raw.lastIndexOf('\u001b[?25h')).toBeGreaterThan(screen.raw.lastIndexOf('\u001b[?25l'));
    expect(screen.raw.lastIndexOf('\u001b[?7h')).toBeGreaterThan(screen.raw.lastIndexOf('\u001b[?7l'));
  });

  test('ends by a signal as by q: the terminal is as before, and the exit code tells', async () => {
    const screen = top();
    await screen.shows('no worker has been seen yet');
    const before = screen.raw.length;
    await screen.kill('SIGTERM');
    expect(await screen.ended).toBe(143);
    expect(screen.isAlternate).toBe(false);
    expect(screen.lines().slice(0, 2)).toEqual(['before', 'after']);
    expect(screen.raw.slice(before)).toContain('\u001b[?1049l');
  });

  test('ends by Ctrl-C, also while something is typed or asked', async () => {
    const screen = top();
    await screen.shows('nothing runs');
    screen.press('/');
    await screen.shows('/_');
    screen.press('\u0003');
    expect(await screen.ended).toBe(0);
    expect(screen.isAlternate).toBe(false);
  });

  test('is stopped by Ctrl-Z as other programs are, and gives the terminal to the shell', async () => {
    const screen = top();
    await screen.shows('nothing runs');
    screen.press('\u001a');
    // What a shell says of a job that was stopped by SIGTSTP; the shell of this test then leaves.
    expect(await screen.ended).toBe(148);
    expect(screen.isAlternate).toBe(false);
    expect(screen.text()).toMatch(/before\n[\s\S]*after/);
    await until(async () => !isRunning(await screen.pid()));
  });

  test('ends with its terminal', async () => {
    const screen = top();
    await screen.shows('nothing runs');
    const pid = await screen.pid();
    await screen.hangUp();
    await until(() => !isRunning(pid));
  });

  test('of a bug the terminal is given back first, so that its stack can be read', async () => {
    const cwd = emptyFolder();
    const bomb = join(cwd, 'bomb.cjs');
    writeFileSync(bomb, `process.on('SIGUSR2', () => { throw new Error('a bug of ours'); });`);
    const screen = startInTerminal(['--require', bomb, '--', MAIN, 'top'], {
      ...{ columns: 100, rows: 30, cwd },
      env: { DATABASE_URL: t.url },
    });
    await screen.shows('nothing runs');
    await screen.kill('SIGUSR2');
    expect(await screen.ended).toBe(70);
    expect(screen.isAlternate).toBe(false);
    expect(screen.text()).toMatch(
      /before\n[\s\S]*Error: a bug of ours[\s\S]*this is a bug in cape-worker[\s\S]*\nafter/,
    );
  });

  test('fits a small terminal, and follows a change of its size', async () => {
    await t.sql`insert into cape_issues (description) select 'issue number ' || n from generate_series(1, 40) n`;
    const screen = top(60, 15);
    await screen.shows('pending 40');
    for (const part of ['running 0/0', 'PENDING', 'q quit']) expect(screen.text()).toContain(part);
    expect(screen.lines().filter((line) => line.includes('issue number')).length).toBeGreaterThanOrEqual(7);
    await screen.resize(130, 40);
    await screen.shows(/ISSUE +WHY/);
    await until(() => screen.lines().filter((line) => line.includes('issue number')).length > 15);
    await screen.resize(25, 6);
    await screen.shows(/^cape-worker [\s\S]*q quit /m);
    await screen.resize(100, 30);
    await screen.shows(/ISSUE\n> 40 /);
    // Nothing of the other sizes is left.
    expect(screen.lines().filter((line) => line.includes('cape-worker top'))).toHaveLength(1);
  });

  test('no escape of an issue or of its output reaches the terminal', async () => {
    worker();
    const evil = `: '\u001b]0;owned\u0007\u009b2J'; printf 'a\\033]0;owned\\007b\\033[2J\\033[31mred\\033[0m\\n'; sleep 60`;
    const id = await issues.add(evil);
    const screen = top();
    await screen.shows(`> ${id} `);
    await screen.shows(": '\\u001b]0;owned\\u0007\\u009b2J'");
    screen.press('\r');
    await screen.shows('a\\u001b]0;owned\\u0007b\\u001b[2Jred');
    expect(screen.raw).not.toMatch(/\u001b\]|\u0007|\u009b|\u001b\[2J\u001b\[31m/);
  });

  test('has no colours where NO_COLOR is set, and marks the chosen row all the same', async () => {
    await issues.add('Fix the login bug');
    const plain = top(100, 30, { NO_COLOR: '1' });
    await plain.shows(/^> \d+ .*Fix the login bug *$/m);
    expect(plain.raw).not.toMatch(/\u001b\[[0-9;]*m/);
    const colourful = top();
    await colourful.shows('Fix the login bug');
    expect(colourful.raw).toMatch(/\u001b\[1m/);
  });

  test('filters, retries what has failed, and pauses a worker or all', async () => {
    worker();
    const failed = await issues.add('exit 3 # login', { max_attempts: 1 });
    const other = await issues.add('exit 4 # parser', { max_attempts: 1 });
    await issues.ended(failed);
    await issues.ended(other);
    const screen = top(130);
    await screen.shows(/failed +exit 3 # login +exit code 3/);
    screen.press('/');
    for (const key of 'LOGIN is:failed') screen.press(key);
    screen.press('\r');
    await screen.shows('filter: LOGIN is:failed');
    await until(() => !screen.text().includes('parser'));
    await screen.shows(`> ${failed} `);
    screen.press('r');
    await screen.shows(`issue ${failed}: will run again`);
    await until(async () => (await issues.issue(failed)).attempt === 2);

    screen.press('\u001b');
    await screen.shows('parser');
    screen.press('g');
    await screen.shows('> alleycat-1');
    screen.press('p');
    await screen.shows('worker alleycat-1: paused; what runs goes on');
    await screen.shows(/> alleycat-1 +paused/);
    screen.press('p');
    await screen.shows(/> alleycat-1 +running/);
    screen.press('Gp');
    await screen.shows('pause all workers? y / n');
    screen.press('y');
    await screen.shows('! all workers are paused; p resumes');
    screen.press('p');
    await screen.shows('resume all workers? y / n');
    screen.press('y');
    await until(() => !screen.text().includes('all workers are paused'));
    expect(await t.sql`select * from cape_pauses`).toHaveLength(0);
  });

  test('? shows the keys, and any key ends that', async () => {
    const screen = top(60, 20);
    await screen.shows('nothing runs');
    screen.press('?');
    await screen.shows('is:failed');
    screen.press('j');
    await screen.shows('nothing runs');
  });

  test('scrolls in an output, stays where it is while more comes, and follows again', async () => {
    worker();
    const id = await issues.add('for i in $(seq 1 300); do echo line $i; done; while :; do echo more; sleep 0.1; done');
    const screen = top(80, 20);
    await screen.shows(`> ${id} `);
    screen.press('\r');
    await screen.shows(/line 300\n[\s\S]*more/);
    await screen.shows('following');
    screen.press('g');
    await screen.shows(/line 1\nline 2\n/);
    await screen.shows(/1-15 of 3\d\d/);
    screen.press(' j');
    await screen.shows(/\nline 16\nline 17\n/);
    screen.press('f');
    await screen.shows(/more\nmore\n/);
    screen.press('k');
    await screen.shows(/\d-\d+ of 3\d\d/);
    screen.press('q');
    await screen.shows('ENDED');
  });

  test('tells that the database is away, and catches up', async () => {
    const proxy = await startProxy(t.url);
    try {
      const screen = top(100, 30, { DATABASE_URL: proxy.url(t.url) });
      await screen.shows('pending 0');
      proxy.mode = 'refuse';
      proxy.reset();
      await screen.shows(/! since \d\d:\d\d:\d\d: database "postgres:/);
      await issues.add('added meanwhile');
      proxy.mode = 'pass';
      await screen.shows('added meanwhile');
      await screen.shows('pending 1');
      expect(screen.text()).not.toContain('! since');
      proxy.mode = 'blackhole';
      await screen.shows(/no answer from the database for \ds/);
      // What it was waiting for is not waited for.
      screen.press('q');
      expect(await screen.ended).toBe(0);
    } finally {
      await proxy.close();
    }
  });

  test('a database that is not there at the start is an error like that of any command', async () => {
    const screen = top(100, 30, { DATABASE_URL: 'postgres://me@127.0.0.1:1/x' });
    expect(await screen.ended).toBe(69);
    expect(screen.raw).not.toContain('\u001b[?1049h');
    expect(screen.raw).toContain('check DATABASE_URL');
  });
});

describe('without a terminal', () => {
  const run = (...args: string[]) => cli(['top', ...args], { env: { DATABASE_URL: t.url } });

  test.each([[[]], [['--once']]])('prints how things are, once (%j)', async (args) => {
    worker();
    const id = await issues.add('exit 3 # \u001b[2J', { max_attempts: 1 });
    await issues.ended(id);
    const { code, stdout, stderr } = await run(...args);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain('failed 1');
    expect(stdout).toMatch(/alleycat-1 +running +0\/2/);
    expect(stdout).toMatch(new RegExp(`^ +${id} .*failed +exit 3 # \\\\u001b\\[2J$`, 'm'));
    expect(stdout).toContain('nothing runs');
    expect(stdout).not.toMatch(/\u001b/);
  });

  test('--json prints the same for programs', async () => {
    worker();
    const id = await issues.add('exit 0');
    await issues.ended(id);
    const { code, stdout } = await run('--once', '--json');
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      ...{ pending: 0, completed: 1, completed_last_hour: 1, all_paused: false },
      workers: [{ id: 'alleycat-1', host: hostname(), state: 'running', slots: 2 }],
      issues: { running: [], pending: [], ended: [{ id, status: 'completed' }] },
    });
  });

  test('and the same over the HTTP API', async () => {
    const token = '0123456789abcdef-write';
    await issues.add('waits for somebody');
    const env = { DATABASE_URL: t.url, CAPE_API_TOKENS: `write:${token}` };
    const server = start(['serve', '--port', '0'], { env });
    try {
      const url = await until(() => /http:\/\/127\.0\.0\.1:\d+/.exec(server.output().stdout)?.[0]);
      const { code, stdout } = await cli(['top', '--json', '--api-url', url], { env: { CAPE_API_TOKEN: token } });
      expect(code).toBe(0);
      expect(JSON.parse(stdout)).toMatchObject({
        pending: 1,
        issues: { pending: [{ description: 'waits for somebody' }] },
      });
    } finally {
      server.process.kill();
      await server.ended;
    }
  });
});

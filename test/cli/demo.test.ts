/** The demo as a newcomer runs it: a process of its own that must leave nothing behind. */
import { execFile, execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { DEMO_ISSUES, type DemoIssue, deviation, type Seen } from '../../src/cli/demo-issues.js';
import type { Attempt, Issue } from '../../src/core/issue.js';
import { until } from '../support/until.js';
import { cli, emptyFolder, start } from './run-cli.js';

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const TIME = { timeout: 90_000 };

const searchPath = (process.env.PATH ?? '').split(delimiter);
const hasGit = searchPath.some((folder) => existsSync(join(folder, 'git')));
if (!hasGit) console.log('git is not on PATH: what the demo commits is not looked at');
// The one of the BSDs and of macOS takes other options.
const hasScript = spawnSync('script', ['--version'], { encoding: 'utf8' }).stdout?.includes('util-linux') === true;
if (!hasScript) console.log('script(1) of util-linux is not on PATH: the test of the live view is skipped');

/** An environment in which the demo's folder lies in one of ours, and settings that it must not look at. */
function surroundings(): { dir: string; tmp: string; env: Record<string, string> } {
  const dir = emptyFolder();
  const tmp = join(dir, 'tmp');
  mkdirSync(tmp);
  // Root's Postgres runs as another user, who must be able to pass.
  for (const folder of [join(dir, '..'), dir, tmp]) chmodSync(folder, 0o755);
  const nowhere = 'postgres://nobody:none@127.0.0.1:1/none';
  writeFileSync(join(dir, '.env'), `DATABASE_URL=${nowhere}\nCAPE_COMMAND=false\nCAPE_CONCURRENCY=none\n`);
  const env = { TMPDIR: tmp, HOME: '', DATABASE_URL: nowhere, CAPE_SCHEMA: 'no such', CAPE_WORKER_ID: '!' };
  return { dir, tmp, env };
}

/** Processes that have this text in their command line, environment or working directory. */
function processesOf(text: string): string[] {
  if (!existsSync('/proc/self/environ'))
    return execFileSync('ps', ['-axww', '-o', 'command='])
      .toString()
      .split('\n')
      .filter((line) => line.includes(text));
  return readdirSync('/proc').filter((pid) => {
    try {
      const about = ['cmdline', 'environ'].map((file) => readFileSync(`/proc/${pid}/${file}`, 'utf8'));
      return about.some((content) => content.includes(text));
    } catch {
      return false; // no process, or gone
    }
  });
}

async function expectNothingRuns(tmp: string, output: string): Promise<void> {
  const port = Number(/Postgres is ready on port (\d+)/.exec(output)?.[1]);
  expect(port).toBeGreaterThan(0);
  const refused = new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => resolve('connected')).on('error', (error) =>
      resolve(error.message),
    );
    socket.unref();
  });
  expect(await refused).toContain('ECONNREFUSED');
  // The tests of this file run at once, each with a folder of its own.
  expect(processesOf(join(tmp, 'cape-demo-'))).toEqual([]);
}

describe.concurrent('the demo', () => {
  test('shows every issue ending as intended, whatever the environment and .env say', TIME, async () => {
    const { dir, tmp, env } = surroundings();
    const { code, stdout, stderr } = await cli(['demo'], { cwd: dir, env });
    expect({ code, stderr }, stdout).toEqual({ code: 0, stderr: '' });
    const table = stdout.slice(stdout.indexOf('RESULT OR ERROR'));
    expect(table.split('\n').slice(1, 8)).toEqual([
      expect.stringMatching(/^✓ {2}1 .*completed +1 +demo-1 +\d.* s +\S/),
      expect.stringMatching(/^✓ {2}2 .*\[fail once\] +completed +2 +demo-1 +\d.* s +\S/),
      expect.stringMatching(/^✓ {2}3 .*\[always fail\] +failed +3 +demo-1 +\d.* s +exit code 1$/),
      expect.stringMatching(/^✓ {2}4 .*\[too slow\] +failed +1 +demo-1 +\d.* s +ran longer than the 2 s allowed$/),
      expect.stringMatching(/^✓ {2}5 .*\[not now\] +completed +2 +demo-1 +\d.* s +\S/),
      expect.stringMatching(/^✓ {2}6 .*\[too slow\] +cancelled +1 +demo-1 +\d.* s +cancelled while it ran$/),
      expect.stringMatching(/^✓ {2}7 .*completed +1 +demo-1 +\d.* s +\S/),
    ]);
    expect(stdout).toContain('All 7 issues ended as intended.');
    expect(stdout).toContain('issue 2, attempt 1: failed: exit code 1\n');
    expect(stdout).toContain('issue 4, attempt 1: timed out: ran longer than the 2 s allowed\n');
    // Plain lines: no terminal, no escape sequences.
    expect(stdout).not.toContain('\u001b');
    await expectNothingRuns(tmp, stdout);
    const [folder] = readdirSync(tmp) as [string];
    expect(readdirSync(join(tmp, folder)).sort()).toEqual(['cape-adw-scratch', 'logs']);
    expect(stdout).toContain(`  rm -rf '${join(tmp, folder)}'\n`);
    // On a machine without cape-adw a worker needs a command.
    expect(stdout).toContain("npx cape-worker --worker-id alleycat-1 --command 'echo {description}'\n");
    if (!hasGit) return;
    const look = /^ {2}git -C '(.+)' log --all --oneline$/m.exec(stdout)?.[1];
    expect(look).toBe(join(tmp, folder, 'cape-adw-scratch'));
    const branches = execFileSync('git', ['-C', look as string, 'branch', '--format=%(refname:short)']).toString();
    expect(branches.split('\n').filter(Boolean)).toEqual(['issue-1', 'issue-2', 'issue-5', 'issue-7', 'main']);
  });

  test('does without git, and prints nothing but JSON where that is asked for', TIME, async () => {
    const { dir, tmp, env } = surroundings();
    const { code, stdout, stderr } = await cli(['demo', '--json'], {
      cwd: dir,
      env: { ...env, PATH: pathWithout(dir, 'git') },
    });
    expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringContaining('All 7 issues ended as intended.') });
    expect(stderr).toContain('git is not installed: the plans are plain files');
    const results = JSON.parse(stdout);
    expect(results.map((one: { status: string }) => one.status)).toEqual(DEMO_ISSUES.map(({ ends }) => ends));
    expect(results[1]).toMatchObject({ id: 2, attempts: 2, worker: 'demo-1', error: null, deviation: null });
    expect(readFileSync(results[0].result, 'utf8')).toContain('# Issue 1: Write a welcome page');
    await expectNothingRuns(tmp, stderr);
  });

  test.skipIf(!hasScript)('has a live view on a terminal', TIME, async () => {
    const { dir, tmp, env } = surroundings();
    const command = `'${process.execPath}' '${MAIN}' demo`;
    const { stdout } = await promisify(execFile)(
      'script',
      ['-qec', `stty cols 100 rows 40; ${command}`, '/dev/null'], // its exit code is that of the demo, and would throw
      { cwd: dir, env: { PATH: process.env.PATH, TERM: 'xterm', ...env } },
    );
    // Drawn again and again, in place: the cursor goes up.
    expect(stdout).toContain('LAST OUTPUT');
    expect(stdout.match(/\u001b\[\d+A/g)?.length).toBeGreaterThan(10);
    expect(stdout).toContain('planning: 4 steps');
    expect(stdout).not.toContain('attempt 1: started');
    expect(stdout).toContain('All 7 issues ended as intended.');
    await expectNothingRuns(tmp, stdout);
  });

  test.each([
    ['SIGINT', 'while its Postgres is made', 'making a database', 130],
    ['SIGINT', 'while issues run', 'started', 130],
    ['SIGTERM', 'while issues run', 'started', 143],
  ] as const)('cleans up after a %s %s', TIME, async (signal, _, awaited, code) => {
    const { dir, tmp, env } = surroundings();
    const running = start(['demo'], { cwd: dir, env });
    await until(() => running.output().stdout.includes(awaited), { timeoutMs: 60_000, what: `"${awaited}"` });
    running.process.kill(signal);
    const ended = await running.ended;
    expect(ended).toMatchObject({ code, stderr: expect.stringContaining('interrupted') });
    expect(ended.stdout).not.toContain('RESULT OR ERROR');
    expect(readdirSync(tmp)).toEqual([]);
    await expectNothingRuns(tmp, ended.stdout);
  });

  test('finishes and cleans up where its reader goes away', TIME, async () => {
    const { dir, tmp, env } = surroundings();
    const running = start(['demo'], { cwd: dir, env });
    await until(() => running.output().stdout.includes('Postgres is ready'), { timeoutMs: 60_000 });
    running.process.stdout?.destroy();
    expect((await running.ended).code).toBe(0);
    await expectNothingRuns(tmp, running.output().stdout);
  });
});

/** A search path with all programs of ours but one. */
function pathWithout(dir: string, left: string): string {
  const bin = join(dir, 'bin');
  mkdirSync(bin);
  const taken = new Set([left]);
  for (const folder of [join(process.execPath, '..'), ...searchPath].filter((one) => existsSync(one))) {
    for (const name of readdirSync(folder).filter((one) => !taken.has(one))) {
      taken.add(name);
      symlinkSync(join(folder, name), join(bin, name));
    }
  }
  return bin;
}

describe('an issue that does not end as intended', () => {
  const seen = (demo: DemoIssue, status: string, outcomes: readonly string[], startedAt = 0): Seen => ({
    demo,
    issue: { id: 3, status } as Issue,
    attempts: outcomes.map((outcome) => ({ outcome, started_at: new Date(startedAt) }) as Attempt),
    lastLine: '',
  });
  const plain: DemoIssue = { description: 'x', ends: 'completed', attempts: ['succeeded'] };
  const slow: DemoIssue = { description: 'x', ends: 'failed', attempts: ['timed_out'] };
  const urgent: DemoIssue = { ...plain, priority: 10 };

  test('is told, also where only the way there differs', () => {
    expect(deviation(seen(plain, 'completed', ['succeeded']), [])).toBeNull();
    expect(deviation(seen(plain, 'completed', ['failed', 'succeeded']), [])).toBe(
      'issue 3 is completed (attempts: failed, succeeded); it was to be completed (attempts: succeeded)',
    );
    expect(deviation(seen(slow, 'failed', ['failed']), [])).toContain('it was to be failed (attempts: timed out)');
    expect(deviation(seen(plain, 'pending', []), [])).toContain('is pending (attempts: none)');
  });

  test('is told where an urgent one was not the first to start', () => {
    const other = seen(plain, 'completed', ['succeeded'], 1000);
    expect(deviation(seen(urgent, 'completed', ['succeeded'], 1000), [other])).toBeNull();
    expect(deviation(seen(urgent, 'completed', ['succeeded'], 1001), [other])).toContain('was not the first to start');
  });
});

test('with --web it serves the page, and stays with a worker until it is interrupted', TIME, async () => {
  const { dir, tmp, env } = surroundings();
  const demo = start(['demo', '--web'], { cwd: dir, env });
  const link = await until(() => /http:\/\/127\.0\.0\.1:\d+\/login\?once=\S+/.exec(demo.output().stdout)?.[0]);
  const login = await fetch(link, { redirect: 'manual' });
  const cookie = login.headers.get('set-cookie')?.split(';')[0] ?? '';
  const url = new URL(link).origin;
  expect(await (await fetch(url)).text()).toContain('<title>cape-worker</title>');
  await until(() => demo.output().stdout.includes('Ctrl-C ends both.'), { timeoutMs: 60_000 });
  expect(demo.output().stdout).toContain('All 7 issues ended as intended.');
  const headers = { cookie, 'content-type': 'application/json', 'x-cape-request': '1' };
  const body = JSON.stringify({ description: 'Added in the page' });
  const added = await fetch(`${url}/api/issues`, { method: 'POST', headers, body });
  const { ids } = (await added.json()) as { ids: number[] };
  const status = async () =>
    ((await (await fetch(`${url}/api/issues/${ids[0]}`, { headers })).json()) as { status: string }).status;
  await until(async () => (await status()) === 'completed');
  demo.process.kill('SIGINT');
  const { code, stdout, stderr } = await demo.ended;
  expect({ code, stderr }, stdout).toEqual({ code: 0, stderr: '' });
  expect(stdout).toContain('The Postgres is stopped and its data removed.');
  await expectNothingRuns(tmp, stdout);
});

/** The example command: what it commits is looked at with git itself. */
import { execFileSync, spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';

const SCRIPT = fileURLToPath(new URL('../../scripts/examples/cape-adw', import.meta.url));
const GIT = (process.env.PATH ?? '').split(delimiter).find((folder) => existsSync(join(folder, 'git')));
if (!GIT) console.log('git is not on PATH: the tests of what cape-adw commits are skipped');

const folders: string[] = [];

function tempFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'cape adw '));
  folders.push(folder);
  return folder;
}

afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

interface Done {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly output: string;
  /** What it wrote to CAPE_RESULT_FILE, or null. */
  readonly result: string | null;
}

/** As a worker starts it: no HOME, nothing of the environment but PATH. */
function capeAdw(dir: string, args: readonly string[], env: Record<string, string> = {}): Promise<Done> {
  const resultFile = join(dir, `${args[0] ?? 'none'}.result`);
  const child = spawn(process.execPath, [SCRIPT, ...args], {
    cwd: dir,
    env: { PATH: process.env.PATH ?? '', CAPE_RESULT_FILE: resultFile, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      if (text.includes('ten minutes')) child.kill('SIGTERM');
    });
  }
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      resolve({ code, signal, output, result: existsSync(resultFile) ? readFileSync(resultFile, 'utf8') : null });
    });
  });
}

function git(dir: string, ...args: string[]): string {
  return execFileSync('git', ['-C', join(dir, 'cape-adw-scratch'), ...args], { encoding: 'utf8' }).trim();
}

// At once: most of their time is the pauses that the example makes for people who watch.
describe.skipIf(!GIT).concurrent('with git', () => {
  test('commits a plan on a branch of its own and tells which', async () => {
    const dir = tempFolder();
    const { code, output, result } = await capeAdw(dir, ['7', 'Fix the login bug\n\n- reproduce it\n- repair it']);
    expect({ code, output }).toMatchObject({ code: 0 });
    expect(result).toBe(`issue-7 at ${git(dir, 'rev-parse', '--short', 'issue-7')}\n`);
    expect(git(dir, 'log', '-1', '--format=%s|%an', 'issue-7')).toBe('Plan issue 7: Fix the login bug|cape-adw');
    const plan = git(dir, 'show', 'issue-7:plans/issue-7.md');
    expect(plan).toContain('# Issue 7: Fix the login bug');
    expect(plan).toContain('1. reproduce it\n2. repair it');
    expect(plan).toContain('## Done when');
    // The repository stands as it was made: its own branch, nothing changed.
    expect(git(dir, 'status', '--porcelain', '--branch')).toBe('## main');
  });

  test('several at once, the first ones in a folder with no repository yet, do not collide', async () => {
    const dir = tempFolder();
    const ids = ['1', '2', '3', '4', '5', '6'];
    const all = await Promise.all(ids.map((id) => capeAdw(dir, [id, `Issue number ${id}`])));
    expect(all.map(({ code, output }) => (code === 0 ? '' : output))).toEqual(ids.map(() => ''));
    expect(git(dir, 'branch', '--list', 'issue-*', '--format=%(refname:short)').split('\n')).toEqual(
      ids.map((id) => `issue-${id}`),
    );
    // One beginning for all of them, and nothing left beside the repository.
    expect(git(dir, 'rev-list', '--max-parents=0', '--all').split('\n')).toHaveLength(1);
    expect(readdirSync(dir).filter((name) => !name.endsWith('.result'))).toEqual(['cape-adw-scratch']);
  });

  test('an attempt that comes after the work was done does not do it again', async () => {
    const dir = tempFolder();
    const key = { CAPE_IDEMPOTENCY_KEY: 'db-3-0' };
    const first = await capeAdw(dir, ['3', 'Only once'], key);
    const second = await capeAdw(dir, ['3', 'Only once'], { ...key, CAPE_ATTEMPT: '2' });
    expect(second).toMatchObject({ code: 0, result: first.result });
    expect(second.output).toContain('an earlier attempt has done it already');
    // A person's `retry` brings a new key: that is new work.
    const again = await capeAdw(dir, ['3', 'Only once'], { CAPE_IDEMPOTENCY_KEY: 'db-3-1', CAPE_ATTEMPT: '3' });
    expect(again.code).toBe(0);
    expect(git(dir, 'rev-list', '--count', 'main..issue-3')).toBe('2');
  });

  test.each([
    ['quotes and a substitution', `He said "it's $(touch pwned) \`touch pwned\`"`],
    ['a leading dash', '--help'],
    ['several lines that look like comments and options', '\n\n# --amend\n-m x\n'],
    ['an escape sequence', '\u001b[31mred\u0007'],
    ['nothing but blanks', ' \n '],
    ['a title of 5,000 characters', `${'ü💥'.repeat(2500)}`],
  ])('a description with %s arrives as text', async (_, description) => {
    const dir = tempFolder();
    const { code, output } = await capeAdw(dir, ['9', description]);
    expect({ code, output }).toMatchObject({ code: 0 });
    const plan = git(dir, 'show', 'issue-9:plans/issue-9.md');
    for (const line of description.split('\n')) expect(plan).toContain(`> ${line}`.trimEnd());
    const subject = git(dir, 'log', '-1', '--format=%s', 'issue-9');
    expect([...subject].length).toBeLessThan(100);
    expect(output + subject).not.toContain('\u001b');
    expect(readdirSync(dir).sort()).toEqual(['9.result', 'cape-adw-scratch']);
  });

  test("a user's own git settings change nothing", async () => {
    const dir = tempFolder();
    const home = join(dir, 'home');
    mkdirSync(home);
    writeFileSync(join(home, '.gitconfig'), '[commit]\n gpgsign = true\n[user]\n name = Someone\n signingkey = none\n');
    expect(await capeAdw(dir, ['4', 'Sign nothing'], { HOME: home })).toMatchObject({ code: 0 });
    expect(git(dir, 'log', '-1', '--format=%an', 'issue-4')).toBe('cape-adw');
  });

  test('a folder with other things in it is left alone', async () => {
    const dir = tempFolder();
    const folder = join(dir, 'mine');
    mkdirSync(folder);
    writeFileSync(join(folder, 'letter.txt'), 'Dear');
    const { code, output } = await capeAdw(dir, ['4', 'x'], { CAPE_DEMO_REPO: folder });
    expect(code).toBe(64);
    expect(output).toContain(`${folder} holds something else: set CAPE_DEMO_REPO to a new folder`);
    expect(readdirSync(folder)).toEqual(['letter.txt']);
  });
});

describe.concurrent('the words that change what it does', () => {
  test.each([
    ['[fail once]', '1', 1],
    ['[fail once]', '2', 0],
    ['[always fail]', '1', 1],
    ['[always fail]', '4', 1],
    ['[not now]', '1', 75],
    ['[not now]', '2', 0],
  ])('%s on attempt %s ends with %d', async (word, attempt, code) => {
    const done = await capeAdw(tempFolder(), ['5', `Something ${word}`], { CAPE_ATTEMPT: attempt });
    expect(done).toMatchObject({ code });
    expect(done.result === null).toBe(code !== 0);
  });

  test('[too slow] goes on until it is told to stop', async () => {
    expect(await capeAdw(tempFolder(), ['5', 'Something [too slow]'])).toMatchObject({ code: null, signal: 'SIGTERM' });
  });
});

test('without git it leaves the plan as a file and says so', async () => {
  const dir = tempFolder();
  mkdirSync(join(dir, 'bin'));
  symlinkSync(process.execPath, join(dir, 'bin', 'node'));
  const { code, output, result } = await capeAdw(dir, ['8', 'No git here'], { PATH: join(dir, 'bin') });
  expect({ code, output }).toMatchObject({ code: 0 });
  expect(output).toContain('git is not installed: the plan becomes a plain file');
  const plan = join(dir, 'cape-adw-scratch', 'plans', 'issue-8.md');
  expect(result).toBe(`${plan}\n`);
  expect(readFileSync(plan, 'utf8')).toContain('# Issue 8: No git here');
});

test.each([[[]], [['x', 'text']], [['7']], [['7', 'a', 'b']], [['-7', 'a']]])(
  'refuses the arguments %j',
  async (args) => {
    expect(await capeAdw(tempFolder(), args)).toMatchObject({
      code: 64,
      output: 'cape-adw: usage: cape-adw <id> <description>\n',
    });
  },
);

test('runs as a program, also where it was copied to', () => {
  const dir = tempFolder();
  const copy = join(dir, 'my-adw');
  writeFileSync(copy, readFileSync(SCRIPT), { mode: 0o755 });
  for (const program of [SCRIPT, copy]) {
    expect(execFileSync(program, ['1', 'x'], { cwd: dir, encoding: 'utf8' })).toContain('done: ');
  }
});

/** The files that launchd writes a worker's output to: kept small by the worker, as launchd opens them, for appending. */
import { spawn } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { keepOutputSmall, outputFileOf } from '../../src/log/service-output.js';
import { until } from '../support/until.js';

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const LIMIT = 64 * 1024;

let dir: string;
let stdout: string;
let stderr: string;
let close: (() => void)[];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'cape output '));
  stdout = outputFileOf(dir, 'a-1', 'stdout');
  stderr = outputFileOf(dir, 'a-1', 'stderr');
  close = [];
});

afterEach(() => {
  for (const each of close.splice(0)) each();
  rmSync(dir, { recursive: true, force: true });
});

function open(path: string): number {
  const descriptor = openSync(path, 'a');
  close.push(() => closeSync(descriptor));
  return descriptor;
}

function keep(descriptors = { stdout: open(stdout), stderr: open(stderr) }, said: string[] = []) {
  const options = { dir, workerId: 'a-1', maxSize: LIMIT, lookMs: 15, descriptors };
  const stop = keepOutputSmall({ ...options, say: (line) => said.push(line) });
  close.push(stop);
  return { stop, descriptors, said };
}

const lines = (count: number, word: string) => Array.from({ length: count }, (_, i) => `${word} ${i}\n`).join('');

test('a file that has grown is emptied in place, and its end is kept beside it from a whole line on', () => {
  writeFileSync(stdout, lines(20_000, 'line'));
  const whole = readFileSync(stdout, 'utf8');
  const { descriptors } = keep();
  expect(statSync(stdout).size).toBe(0);
  const kept = readFileSync(`${stdout}.1`, 'utf8');
  expect(kept.length).toBeLessThanOrEqual(LIMIT);
  expect(kept.length).toBeGreaterThan(LIMIT - 20);
  expect(whole.endsWith(`\n${kept}`)).toBe(true);
  writeSync(descriptors.stdout, 'next\n');
  expect(readFileSync(stdout, 'utf8')).toBe('next\n');
});

test('it is looked at again while the program runs, and `.1` is replaced', async () => {
  const { descriptors } = keep();
  for (const word of ['first', 'second']) {
    writeSync(descriptors.stderr, lines(8000, word));
    await until(() => statSync(stderr).size === 0);
    expect(readFileSync(`${stderr}.1`, 'utf8')).toContain(`${word} 7999\n`);
  }
});

test('small files, and files that are not those of this service, are left alone', () => {
  writeFileSync(stdout, lines(10, 'small'));
  writeFileSync(stderr, lines(20_000, 'mine'));
  const other = join(dir, 'my.log');
  writeFileSync(other, lines(20_000, 'mine'));
  keep({ stdout: open(stdout), stderr: open(other) });
  expect(statSync(stdout).size).toBeGreaterThan(0);
  expect(statSync(other).size).toBeGreaterThan(LIMIT);
  // Of that name, but not what this process writes to.
  expect(statSync(stderr).size).toBeGreaterThan(LIMIT);
});

test.skipIf(!existsSync('/dev/full'))('on a full disk the file is emptied all the same', () => {
  writeFileSync(stdout, lines(20_000, 'line'));
  symlinkSync('/dev/full', `${stdout}.1`);
  const { said } = keep();
  expect(statSync(stdout).size).toBe(0);
  expect(said).toEqual([]);
});

test('a worker under launchd does so from its start on', async () => {
  writeFileSync(stdout, lines(20_000, 'old'));
  const descriptors = [open(stdout), open(stderr)] as const;
  const child = spawn(
    process.execPath,
    [MAIN, '--worker-id', 'a-1', '--log-dir', dir, '--log-max-size', '64KiB', '--command', 'true'],
    // Nobody listens there; the worker waits for it.
    {
      cwd: dir,
      env: { PATH: process.env.PATH, HOME: dir, DATABASE_URL: 'postgres://u:p@127.0.0.1:1/d' },
      stdio: ['ignore', ...descriptors],
    },
  );
  close.push(() => child.kill('SIGKILL'));
  await until(() => statSync(stdout).size > 0 && statSync(stdout).size < 10_000, { timeoutMs: 30_000 });
  expect(readFileSync(`${stdout}.1`, 'utf8')).toMatch(/^old \d+\n[\s\S]*old 19999\n$/);
  expect(readFileSync(stdout, 'utf8')).toMatch(/^[\d-]{10} [\d:]{8} - cape_worker_a-1 - /);
});

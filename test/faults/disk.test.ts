/** A disk of the logs that is full, or gone: issues are worked on all the same, and people are told once. */
import { execFileSync } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { LogFile } from '../../src/log/file.js';
import { createTestDatabase } from '../support/database.js';
import { issuesOf } from '../support/issues.js';
import { until } from '../support/until.js';
import { tempFolder } from '../support/worker.js';
import { startWorkerProcess, type WorkerProcess } from '../support/worker-process.js';

const { url, sql } = await createTestDatabase();
const { add, completed } = issuesOf(sql);

const mounted: string[] = [];
afterEach(() => {
  // The workers are killed by now; their helpers may need a moment more.
  for (const path of mounted.splice(0)) execFileSync('umount', ['-l', path]);
});

/** A small disk of its own at `path`; false where that is not allowed. */
function mount(path: string): boolean {
  mkdirSync(path);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', path], { stdio: 'ignore' });
  } catch {
    return false;
  }
  mounted.push(path);
  return true;
}

function fill(disk: string): void {
  const fd = openSync(join(disk, 'filler'), 'a');
  try {
    for (let size = 65_536; size > 0; ) {
      try {
        if (writeSync(fd, Buffer.alloc(size)) < size) break;
      } catch {
        size = Math.floor(size / 2);
      }
    }
  } finally {
    closeSync(fd);
  }
}

const allowed = (() => {
  const path = join(tempFolder('cape-disk-'), 'try');
  const can = process.platform === 'linux' && mount(path);
  if (can) execFileSync('umount', [mounted.pop()!]);
  else console.log('skipped: tests of a full disk need the right to mount a small tmpfs (root)');
  return can;
})();

const COMMAND = `sh -c 'echo said by $CAPE_ISSUE_ID; grep -q idempotency_key "$CAPE_ISSUE_FILE" && echo fine > "$CAPE_RESULT_FILE"' {id}`;
const count = (worker: WorkerProcess, text: string) => worker.output().split(text).length - 1;

async function run(issues: number): Promise<number[]> {
  const ids: number[] = [];
  for (let n = 0; n < issues; n++) {
    const id = await add('on a full disk');
    const { attempt, failures, result } = await completed(id, 30_000);
    expect([attempt, failures, result]).toEqual([1, 0, 'fine\n']);
    ids.push(id);
  }
  return ids;
}

describe.skipIf(!allowed)('a full disk under the logs', () => {
  test('fails no issue, is said once, and all is written again when there is room', async () => {
    const cwd = tempFolder('cape-disk-');
    const disk = join(cwd, 'logs full');
    mount(disk);
    const spare = tempFolder('cape-spare-');
    const env = { TMPDIR: spare };
    const worker = await startWorkerProcess({ id: 'full', databaseUrl: url, cwd, args: ['--command', COMMAND], env });
    await run(1);
    fill(disk);
    await run(6);
    for (const line of ["the files of attempts can't be written", 'the output of commands can not be written'])
      expect([line, count(worker, line)]).toEqual([line, 1]);
    await until(() => count(worker, 'completed') === 7); // said when the row shows it already

    rmSync(join(disk, 'filler'));
    const [first] = await run(2);
    expect(readFileSync(join(disk, 'issues', String(first), '1.log'), 'utf8')).toBe(`said by ${first}\n`);
    for (const line of ['the files of attempts are written', 'the output of commands is written'])
      expect([line, count(worker, line)]).toEqual([line, 1]);
    expect(readdirSync(spare)).toEqual([]);
  });

  test("breaks off the worker's own log, which goes on when there is room, and its files stay few", async () => {
    const disk = join(tempFolder('cape-disk-'), 'c++ (logs');
    mount(disk);
    const said: string[] = [];
    const options = {
      dir: disk,
      name: 'worker_a',
      maxSize: 64 * 1024,
      maxDays: 1,
      say: (line: string) => said.push(line),
    };
    const file = new LogFile({ ...options, lookMs: 100 });
    await file.open();
    fill(disk);
    for (let n = 0; n < 100; n++) file.write(`${'x'.repeat(199)}\n`);
    await until(() => said.length === 1);
    expect(said[0]).toContain('ENOSPC');
    rmSync(join(disk, 'filler'));
    await until(() => said.length === 2);
    expect(said[1]).toContain('is written again');
    for (let n = 0; n < 10_000; n++) {
      file.write(`${'y'.repeat(199)}\n`);
      if (n % 100 === 0) await new Promise(setImmediate);
    }
    await new Promise<void>((done) => file.end(done));
    const files = readdirSync(disk).filter((name) => name.startsWith('worker_a-'));
    expect(files.length).toBeLessThanOrEqual(5);
    expect(readFileSync(join(disk, 'worker_a.log'), 'utf8')).toMatch(/^(y{199}\n)+$/);
    const again = new LogFile(options);
    await again.open();
    await new Promise<void>((done) => again.end(done));
    expect(said).toHaveLength(2);
  });

  test('at the start of a worker keeps it from nothing', async () => {
    const cwd = tempFolder('cape-disk-');
    const disk = join(cwd, 'logs late');
    mount(disk);
    fill(disk);
    const worker = await startWorkerProcess({ id: 'late', databaseUrl: url, cwd, args: ['--command', COMMAND] });
    await run(3);
    const lines = worker.output().split('\n');
    expect(lines.filter((line) => line.includes('keeper: '))).toHaveLength(2);
    worker.child.kill('SIGTERM');
    expect(await worker.exited).toBe(0);
  });
});

test('a log folder that somebody removed is made again, and no issue suffers', async () => {
  const cwd = tempFolder('cape-disk-');
  await startWorkerProcess({ id: 'gone', databaseUrl: url, cwd, args: ['--command', COMMAND] });
  await run(1);
  rmSync(join(cwd, 'logs gone'), { recursive: true });
  const [id] = await run(2);
  expect(readFileSync(join(cwd, 'logs gone', 'issues', String(id), '1.log'), 'utf8')).toBe(`said by ${id}\n`);
  await until(() => existsSync(join(cwd, 'logs gone', 'worker_gone.log')), { timeoutMs: 30_000 });
});

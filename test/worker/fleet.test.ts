import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeEach, describe, expect, test } from 'vitest';
import type { Issue } from '../../src/core/issue.js';
import { createTestDatabase } from '../support/database.js';
import { isRunning, issuesOf } from '../support/issues.js';
import { until } from '../support/until.js';
import { tempFolder } from '../support/worker.js';
import { startWorkerProcess } from '../support/worker-process.js';

const { url: databaseUrl, sql } = await createTestDatabase();
const { add, issue, clear } = issuesOf(sql);
const command = `'${fileURLToPath(new URL('../fixtures/ledger.sh', import.meta.url))}'`;
let cwd: string;
let ledger: string;

beforeEach(async () => {
  await clear();
  cwd = tempFolder();
  ledger = join(cwd, 'ledger');
  writeFileSync(ledger, '');
});

const start = (id: string, ...args: string[]) =>
  startWorkerProcess({
    id,
    databaseUrl,
    cwd,
    args: ['--pass-env', 'LEDGER', '--grace', '1s', ...args],
    env: { LEDGER: ledger, CAPE_COMMAND: command }, // a test's own --command goes before
  });

function entries(word: 'start' | 'end'): { id: number; attempt: number; worker: string; pid: number }[] {
  const lines = readFileSync(ledger, 'utf8')
    .trim()
    .split('\n')
    .map((line) => line.split(' '));
  return lines
    .filter((parts) => parts[0] === word)
    .map(([, id, attempt, worker, pid]) => ({
      id: Number(id),
      attempt: Number(attempt),
      worker: worker!,
      pid: Number(pid),
    }));
}

/** The pids that the tree of exec-tree.sh has noted: all six of them. */
async function treePids(file: string): Promise<number[]> {
  return until(() => {
    const pids = readFileSync(file, 'utf8').trim().split('\n').map(Number);
    return pids.length === 6 && pids;
  });
}

describe('four workers with four slots each', () => {
  test('run each of 200 issues exactly once, and every row names its worker', async () => {
    await sql`insert into cape_issues (description) select 'n ' || n from generate_series(1, 200) n`;
    const workers = await Promise.all(['w1', 'w2', 'w3', 'w4'].map((id) => start(id, '--concurrency', '4', '--drain')));
    expect(await Promise.all(workers.map((worker) => worker.exited))).toEqual([0, 0, 0, 0]);
    const rows = await sql<Issue[]>`select * from cape_issues`;
    expect(rows.filter(({ status }) => status !== 'completed')).toEqual([]);
    const ends = new Map(entries('end').map((entry) => [entry.id, entry.worker]));
    expect(entries('start')).toHaveLength(200);
    expect(ends.size).toBe(200);
    for (const row of rows) expect(row.assigned_worker_id).toBe(ends.get(row.id));
    expect(new Set(ends.values()).size).toBeGreaterThan(1);
    expect(await sql`select from cape_attempts where outcome <> 'succeeded' or attempt <> 1`).toHaveLength(0);
  });
});

describe.skipIf(process.platform !== 'linux')('a worker that is killed with SIGKILL in mid-issue', () => {
  test('leaves nothing of its tree behind, and another on the same machine takes over within seconds', async () => {
    const pids = join(cwd, 'pids');
    const victim = await start('victim');
    const id = await add(`tree ${pids}`);
    const tree = await treePids(pids);
    await start('heir');
    const killedAt = performance.now();
    victim.child.kill('SIGKILL');
    await until(() => !tree.some(isRunning), { what: 'the end of the whole tree' });
    const row = await until(async () => (await issue(id)).status === 'completed' && issue(id), { timeoutMs: 20_000 });
    expect(performance.now() - killedAt).toBeLessThan(20_000);
    expect(row).toMatchObject({ attempt: 2, assigned_worker_id: 'heir', crashes: 1, failures: 0 });
    expect(
      await sql`select attempt, worker_id, outcome, log_path from cape_attempts where issue_id = ${id} order by attempt`,
    ).toMatchObject([
      {
        attempt: 1,
        worker_id: 'victim',
        outcome: 'crashed',
        log_path: join(cwd, 'logs victim', 'issues', String(id), '1.log'),
      },
      { attempt: 2, worker_id: 'heir', outcome: 'succeeded' },
    ]);
    expect(entries('start').map(({ worker }) => worker)).toEqual(['victim', 'heir']);
  });

  test('comes back under its id at once and runs the issue again', async () => {
    const pids = join(cwd, 'pids');
    const victim = await start('phoenix');
    const id = await add(`tree ${pids}`);
    const tree = await treePids(pids);
    victim.child.kill('SIGKILL');
    await victim.exited;
    await start('phoenix');
    await until(async () => (await issue(id)).status === 'completed', { timeoutMs: 20_000 });
    expect(tree.filter(isRunning)).toEqual([]);
    expect(await issue(id)).toMatchObject({ attempt: 2, crashes: 1 });
  });

  test('is not taken over before its lease has run out where its machine is another one', async () => {
    const victim = await start('far', '--machine-id', 'elsewhere', '--lease', '12s');
    const id = await add('sleep 300');
    await until(() => entries('start').length === 1);
    await start('near', '--lease', '12s', '--command', `'true'`);
    const [lease] = await sql`select lease_until from cape_leases`;
    victim.child.kill('SIGKILL');
    await until(async () => (await issue(id)).status === 'completed', {
      timeoutMs: 60_000,
      what: 'the lease to run out',
    });
    const [second] = await sql`select started_at from cape_attempts where issue_id = ${id} and attempt = 2`;
    expect(second!.started_at.getTime()).toBeGreaterThan(lease!.lease_until.getTime());
    expect(await issue(id)).toMatchObject({ attempt: 2, assigned_worker_id: 'near', crashes: 1 });
  }, 90_000);
});

describe.skipIf(process.platform !== 'linux')(
  'a command that ignores SIGTERM, with a grandchild in a session of its own',
  () => {
    test('is gone with all that it started when its time is over', async () => {
      const pids = join(cwd, 'pids');
      await start('w', '--timeout', '2s', '--max-attempts', '1');
      const id = await add(`tree ${pids}`);
      const tree = await treePids(pids);
      await until(async () => (await issue(id)).status === 'failed');
      expect(tree.filter(isRunning)).toEqual([]);
    });
  },
);

describe('a worker that was stopped and lost its lease', () => {
  test('writes nothing when it wakes up: its issue belongs to another attempt', async () => {
    const sleeper = await start('sleeper', '--machine-id', 'elsewhere', '--lease', '12s');
    const id = await add('sleep 300');
    await until(() => entries('start').length === 1);
    await start('other', '--lease', '12s', '--command', `'true'`);
    const [run] = entries('start');
    sleeper.child.kill('SIGSTOP');
    await until(() => !isRunning(run!.pid), {
      timeoutMs: 30_000,
      what: 'the keeper to end the run of a stopped worker',
    });
    const endedAt = Date.now();
    await until(async () => (await issue(id)).status === 'completed', { timeoutMs: 60_000 });
    const [second] = await sql`select started_at from cape_attempts where issue_id = ${id} and attempt = 2`;
    expect(second!.started_at.getTime()).toBeGreaterThan(endedAt - 1000);
    const before = await issue(id);
    sleeper.child.kill('SIGCONT');
    await until(() => sleeper.output().includes('no longer ours'), { what: 'the sleeper to find out' });
    expect(await issue(id)).toMatchObject({
      status: 'completed',
      attempt: 2,
      assigned_worker_id: 'other',
      updated_at: expect.any(Date),
    });
    expect((await issue(id)).completed_at).toEqual(before.completed_at);
    // It had ended its run in time: what was booked as a crash was an interruption.
    await until(async () => (await issue(id)).crashes === 0);
  }, 120_000);
});

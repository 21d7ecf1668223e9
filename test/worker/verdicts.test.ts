/** Workers that are killed while the database is away and what came of their commands is not written. */
import { describe, expect, test } from 'vitest';
import { isRunning } from '../support/issues.js';
import { until } from '../support/until.js';
import { verdictStage } from '../support/verdict-stage.js';
import type { WorkerProcess } from '../support/worker-process.js';

const stage = await verdictStage();
const { sql, start, add, issue, attempts, lines, kept, go, away, back, endedUnwritten, kill, expectWrittenOnce } =
  stage;

describe('a worker killed after its command ended, while the database was away', () => {
  test('delivers the outcome when it comes back: the command is not run again', async () => {
    const victim = await start('phoenix');
    const id = await endedUnwritten('phoenix');
    await kill(victim);
    back();
    await start('phoenix');
    await expectWrittenOnce(id, 'phoenix');
  });

  test('delivers it too where no row tells of a predecessor', async () => {
    const victim = await start('phoenix');
    const id = await endedUnwritten('phoenix');
    await kill(victim);
    await sql`delete from cape_workers`;
    back();
    await start('phoenix');
    await expectWrittenOnce(id, 'phoenix');
  });

  test('has it delivered by a neighbour that takes over before anybody restarts it', async () => {
    const victim = await start('victim');
    const id = await endedUnwritten('victim');
    await kill(victim);
    back();
    const heirs = await Promise.all([start('heir-1'), start('heir-2')]);
    await expectWrittenOnce(id, 'victim');
    await until(
      async () => (await sql`select from cape_workers where id = 'victim' and stopped_at is null`).length === 0,
    );
    expect(heirs.map((heir) => heir.output()).join('')).not.toContain('no longer');
  });
});

describe('a worker that drains', () => {
  test('delivers what a dead neighbour has left on disk before it calls the queue empty', async () => {
    const victim = await start('victim');
    const id = await endedUnwritten('victim');
    await kill(victim);
    back();
    const heir = await start('heir', '--drain');
    expect(await heir.exited).toBe(0);
    expect(kept('victim')).toEqual([]);
    await expectWrittenOnce(id, 'victim');
  });

  test('runs what a dead neighbour was running, and leaves', async () => {
    const victim = await start('victim');
    const id = await add('go');
    await until(() => lines('ledger').length === 1);
    await kill(victim);
    go();
    const heir = await start('heir', '--drain');
    expect(await heir.exited).toBe(0);
    expect(await issue(id)).toMatchObject({ status: 'completed', attempt: 2 });
  });
});

describe.skipIf(process.platform !== 'linux')('a worker that comes back after it was killed with its helpers', () => {
  /** Worker, keeper and warden in one instant: nobody is left who would end the tree. */
  async function killAll(worker: WorkerProcess): Promise<number[]> {
    const pids = await until(() => lines('pids').length === 6 && lines('pids').map(Number));
    const [row] = await sql`select helpers from cape_workers where helpers is not null`;
    const all = [row!.helpers.warden.pid, row!.helpers.keeper.pid, worker.pid];
    for (const signal of ['SIGSTOP', 'SIGKILL'] as const) for (const pid of all) process.kill(pid, signal);
    await worker.exited;
    expect(pids.some(isRunning)).toBe(true);
    return pids;
  }

  test('ends their commands before it has even reached the database', async () => {
    const victim = await start('phoenix');
    const id = await add('tree');
    await until(async () => (await sql`select from cape_workers where helpers is not null`).length === 1);
    const pids = await killAll(victim);
    away();
    const starting = start('phoenix');
    await until(() => !pids.some(isRunning), { what: 'the end of the tree', timeoutMs: 20_000 });
    expect((await issue(id)).status).toBe('started');
    back();
    await starting;
    await until(async () => (await issue(id)).attempt === 2 || (await issue(id)).status === 'pending');
    expect(await issue(id)).toMatchObject({ crashes: 1 });
  }, 60_000);

  test('ends what still runs, then delivers what had ended, then releases the rest, then claims', async () => {
    const victim = await start('phoenix', '--concurrency', '2');
    const running = await add('tree');
    await until(() => lines('pids').length === 6);
    const ended = await add('go');
    await until(() => lines('ledger').length === 2);
    away();
    go();
    await until(() => kept('phoenix').length === 1);
    const pids = await killAll(victim);
    back();
    const waiting = await add('go');
    const seen: { alive: boolean; delivered: boolean; released: boolean; claimed: boolean }[] = [];
    const look = async () => {
      const alive = pids.some(isRunning); // before the question: it can only have become false since
      const rows = await sql`select id, status, crashes, attempt from cape_issues order by id`;
      const [first, second, third] = rows;
      seen.push({
        alive,
        delivered: second!.status === 'completed',
        released: first!.crashes === 1,
        claimed: third!.attempt > 0,
      });
      return third!.status === 'completed';
    };
    const starting = start('phoenix', '--concurrency', '2');
    await until(look, { timeoutMs: 30_000 });
    await starting;
    expect(seen[0]).toEqual({ alive: true, delivered: false, released: false, claimed: false });
    const outOfOrder = seen.filter(
      ({ alive, delivered, released, claimed }) =>
        (delivered && alive) || (released && !delivered) || (claimed && !released),
    );
    expect(outOfOrder).toEqual([]);
    expect(await issue(ended)).toMatchObject({ attempt: 1, crashes: 0 });
    expect(lines('ledger').filter((line) => line.startsWith(`${ended} `))).toHaveLength(1);
    expect(await issue(waiting)).toMatchObject({ attempt: 1 });
    expect((await attempts(running))[0]).toMatchObject({ attempt: 1, outcome: 'crashed' });
  }, 60_000);
});

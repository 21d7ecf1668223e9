/** Outcomes kept on disk where it takes longer: leaving during an outage, and a rescue by another machine. */
import { describe, expect, test } from 'vitest';
import { until } from '../support/until.js';
import { verdictStage } from '../support/verdict-stage.js';
import type { WorkerProcess } from '../support/worker-process.js';

const stage = await verdictStage();
const { start, add, issue, attempts, completed, lines, kept, go, away, back, endedUnwritten, kill, expectWrittenOnce } =
  stage;

describe('a worker that has to leave while the database is away', () => {
  /** Asked twice; signals within half a second are one. */
  async function stopNow(worker: WorkerProcess): Promise<void> {
    worker.child.kill('SIGTERM');
    await until(() => worker.output().includes('stopping'));
    await new Promise((done) => setTimeout(done, 600));
    worker.child.kill('SIGTERM');
    await until(() => worker.child.exitCode !== null, { timeoutMs: 30_000, what: 'the worker to leave' });
  }

  test('says what it keeps, and it is delivered at its next start', async () => {
    const worker = await start('leaver');
    const id = await endedUnwritten('leaver');
    await stopNow(worker);
    // What it said last may be read after its end is known.
    await until(() => worker.output().includes(`issue ${id}: the outcome could not be written; it is kept on disk`));
    back();
    await start('leaver');
    await expectWrittenOnce(id, 'leaver');
  });

  test('keeps what it had to end itself as an interruption, which costs nothing', async () => {
    const worker = await start('leaver');
    const id = await add('go');
    await until(() => lines('ledger').length === 1);
    away();
    await stopNow(worker);
    expect(kept('leaver')).toHaveLength(1);
    back();
    go();
    await start('leaver');
    expect(await completed(id)).toMatchObject({ attempt: 2, crashes: 0, failures: 0 });
    expect((await attempts(id)).map(({ outcome }) => outcome)).toEqual(['interrupted', 'succeeded']);
  });
});

test('an outcome whose issue another machine has rescued and run meanwhile is not written over the other one', async () => {
  const victim = await start('victim', '--machine-id', 'elsewhere', '--lease', '9s');
  const id = await endedUnwritten('victim');
  await kill(victim);
  back();
  await start('other', '--lease', '9s');
  expect(await completed(id, 60_000)).toMatchObject({ attempt: 2, assigned_worker_id: 'other', crashes: 1 });
  const before = await issue(id);
  const again = await start('victim', '--machine-id', 'elsewhere', '--lease', '9s');
  await until(() => again.output().includes(`issue ${id}: the attempt was no longer worker victim's`));
  await until(() => kept('victim').length === 0);
  expect(await issue(id)).toEqual(before);
  expect(lines('ledger')).toHaveLength(2);
  expect((await attempts(id)).map(({ outcome }) => outcome)).toEqual(['crashed', 'succeeded']);
});

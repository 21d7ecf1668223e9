/** What a worker tells of itself. */
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { pause, resume } from '../../src/queue/pause.js';
import { StateBoard, type WorkerState } from '../../src/worker/state.js';
import { createTestDatabase } from '../support/database.js';
import { issuesOf } from '../support/issues.js';
import { startProxy, type TcpProxy } from '../support/proxy.js';
import { until } from '../support/until.js';
import { startWorker } from '../support/worker.js';

describe('the board', () => {
  test('tells once in a turn of the event loop, whatever happens in it', async () => {
    const told: WorkerState[] = [];
    const board = new StateBoard((state) => void told.push(state), fail);
    for (let n = 0; n < 1000; n++) board.completedOne();
    board.note({ phase: 'working' });
    expect(told).toEqual([]);
    await setImmediate();
    expect(told).toMatchObject([{ phase: 'working', completed: 1000, running: [] }]);
  });

  test('says nothing where nothing has changed', async () => {
    const told: WorkerState[] = [];
    const board = new StateBoard((state) => void told.push(state), fail);
    board.note({ paused: false, phase: 'starting' });
    await setImmediate();
    expect(told).toEqual([]);
  });

  test('never goes back to work once it was told to stop, but from migrations to the start', () => {
    const told: WorkerState[] = [];
    const board = new StateBoard((state) => void told.push(state), fail);
    for (const phase of ['migrating', 'starting', 'draining', 'working', 'starting', 'ending', 'draining'] as const) {
      board.note({ phase });
      board.tell();
    }
    const phases = ['migrating', 'starting', 'draining', 'draining', 'draining', 'ending', 'ending'];
    expect(told.map(({ phase }) => phase)).toEqual(phases);
  });

  test.each([
    [
      'throws',
      () => {
        throw new Error('out of order');
      },
    ],
    [
      'rejects',
      async () => {
        throw new Error('out of order');
      },
    ],
  ])('an observer that %s harms nobody, and is told of', async (_, observer) => {
    const trouble: unknown[] = [];
    const board = new StateBoard(observer, (error) => trouble.push(error));
    board.tell();
    await setImmediate();
    expect(trouble).toMatchObject([{ message: 'out of order' }]);
  });
});

function fail(error: unknown): never {
  throw error;
}

describe('a worker', async () => {
  const { url, sql, db } = await createTestDatabase();
  const { add, completed, clear } = issuesOf(sql);
  let proxy: TcpProxy;
  let told: WorkerState[];
  const last = () => told.at(-1)!;
  const onState = (state: WorkerState) => void told.push(state);

  beforeEach(async () => {
    await clear();
    told = [];
    proxy = await startProxy(url);
  });
  afterEach(() => proxy.close());

  test('tells what it does, from start to end', async () => {
    const ends: (() => void)[] = [];
    const handler = () => new Promise<void>((done) => ends.push(done));
    const worker = startWorker({ databaseUrl: url, handler, onState, timeout: '1h', drainTimeout: '2h' });
    await until(() => last()?.phase === 'working');
    expect(told[0]).toMatchObject({ phase: 'starting', away: null, paused: false, completed: 0, stuck: null });
    const id = await add('a secret of the issue');
    await until(() => last().running.length === 1);
    const { since, until: limit } = last().running[0]!;
    expect(last().running).toMatchObject([{ id, attempt: 1 }]);
    expect(limit.getTime() - since.getTime()).toBe(3_600_000);
    await until(() => ends.length > 0);
    ends[0]!();
    await completed(id);
    await until(() => last().completed === 1 && last().running.length + last().unwritten.length === 0);
    await add('another');
    await until(() => ends.length === 2);
    worker.worker.stop();
    await until(() => last().phase === 'draining');
    expect(last()).toMatchObject({ running: [{ attempt: 1 }], leavesBy: null });
    expect(last().drainUntil!.getTime() - Date.now()).toBeGreaterThan(7_100_000);
    ends[1]!();
    await worker.done;
    expect(last()).toMatchObject({ phase: 'stopped', running: [], unwritten: [], completed: 2 });
    expect(JSON.stringify(told)).not.toContain('secret of the issue');
  });

  test('waits for a database that is away, and says when it is back', async () => {
    proxy.mode = 'refuse';
    startWorker({ databaseUrl: proxy.url(url), handler: () => {}, onState });
    await until(() => told.some(({ away }) => away !== null));
    expect(last()).toMatchObject({ phase: 'starting' });
    expect(last().away!.words).toMatch(/^the database .*is out of reach/);
    proxy.mode = 'pass';
    await until(() => last().phase === 'working' && last().away === null);
    proxy.mode = 'refuse';
    proxy.reset();
    await add('wakes nobody');
    await until(() => last().away !== null, { timeoutMs: 20_000 });
    expect(last().phase).toBe('working');
    proxy.mode = 'pass';
    await until(() => last().away === null && last().completed === 1, { timeoutMs: 20_000 });
  });

  test('shows no password, whatever the system says of the server', async () => {
    startWorker({ databaseUrl: 'postgres://me:correct-horse@correct-horse.invalid/work', handler: () => {}, onState });
    await until(() => told.some(({ away }) => away !== null));
    expect(last().away!.words).toContain('***.invalid');
    expect(JSON.stringify(told)).not.toContain('correct-horse');
  });

  test('notices a pause, and within seconds its end', async () => {
    await pause(db, null);
    startWorker({ databaseUrl: url, handler: () => {}, onState });
    await until(() => last()?.paused);
    await resume(db, null);
    await until(() => !last().paused);
  });

  test('that is to end at once does so whether or not it was asked to stop before', async () => {
    const handler = (_: unknown, { signal }: { signal: AbortSignal }) =>
      new Promise<void>((_, failed) => signal.addEventListener('abort', () => failed(signal.reason)));
    const worker = startWorker({ databaseUrl: url, handler, onState });
    const id = await add('interrupted');
    await until(() => last()?.running.length === 1);
    worker.worker.endNow('the host is shutting down');
    worker.worker.endNow('again');
    await worker.done;
    expect(worker.lines.filter((line) => line.includes('stopping now'))).toEqual([
      'info: stopping now (the host is shutting down): running issues are ended and go back uncharged',
    ]);
    expect(told.some(({ phase }) => phase === 'ending')).toBe(true);
    const [row] = await sql`select status, failures, crashes from cape_issues where id = ${id}`;
    expect(row).toEqual({ status: 'pending', failures: 0, crashes: 0 });
  });
});

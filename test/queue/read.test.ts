import { beforeAll, describe, expect, test } from 'vitest';
import { enqueue } from '../../src/queue/enqueue.js';
import { list } from '../../src/queue/list.js';
import { attempts, get, oddities } from '../../src/queue/read.js';
import { settle } from '../../src/queue/settle.js';
import { stats } from '../../src/queue/stats.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { type Actor, actor, claimAs, done, ended, requeued } from './actors.js';

let t: TestDatabase;
let worker: Actor;
let ids: number[];

beforeAll(async () => {
  t = await createTestDatabase();
  worker = await actor(t.db, 'alleycat-1');
  ids = await enqueue(t.db, [
    { description: 'Succeeds' },
    { description: 'Fails for good' },
    { description: 'Fails and waits' },
    { description: 'Runs now' },
    { description: '100% _strange_ LOGIN bug' },
    { description: 'Directed', worker: 'nobody-1' },
    { description: 'Directed to a live one', worker: 'alleycat-1', delayMs: 3_600_000 },
  ]);
  const claims = await claimAs(t.db, worker, { limit: 4 });
  await settle(t.db, [
    done(claims[0]!, { result: 'ok' }),
    ended(claims[1]!, { action: 'finish', status: 'failed', charge: 'failure' }, 'failed', { error: 'exit code 1' }),
    requeued(claims[2]!, 60_000, 'failure'),
  ]);
});

describe('listing', () => {
  test('gives the newest first, as many as asked for', async () => {
    expect((await list(t.db, { limit: 3 })).map(({ id }) => id)).toEqual([...ids].reverse().slice(0, 3));
  });

  test('filters by status, by worker and by text, whose special characters mean nothing', async () => {
    const descriptions = async (filter: object) => (await list(t.db, filter)).map(({ description }) => description);
    expect(await descriptions({ status: 'failed' })).toEqual(['Fails for good']);
    expect((await list(t.db, { status: ['failed', 'completed'] })).map(({ status }) => status).sort()).toEqual([
      'completed',
      'failed',
    ]);
    expect(await descriptions({ status: [] })).toEqual([]);
    expect(await descriptions({ worker: 'nobody-1' })).toEqual(['Directed']);
    expect(await descriptions({ search: 'login' })).toEqual(['100% _strange_ LOGIN bug']);
    expect(await descriptions({ search: '0% _S' })).toEqual(['100% _strange_ LOGIN bug']);
    expect(await descriptions({ search: '%' })).toEqual(['100% _strange_ LOGIN bug']);
  });
});

describe('one issue', () => {
  test('has every field of the contract, times as dates', async () => {
    const issue = await get(t.db, ids[0]!);
    expect(issue).toMatchObject({ status: 'completed', result: 'ok', assigned_worker_id: 'alleycat-1', attempt: 1 });
    expect(issue?.created_at).toBeInstanceOf(Date);
    expect(await get(t.db, 999_999)).toBeUndefined();
  });

  test('shows its ended attempts, and the one that runs with the place of its log', async () => {
    expect(await attempts(t.db, ids[1]!)).toMatchObject([
      { attempt: 1, outcome: 'failed', error: 'exit code 1', log_host: 'test-host', ended_at: expect.any(Date) },
    ]);
    expect(await attempts(t.db, ids[3]!)).toMatchObject([
      {
        attempt: 1,
        outcome: null,
        ended_at: null,
        worker_id: 'alleycat-1',
        log_path: `/var/log/cape/issues/${ids[3]}/1.log`,
        log_host: 'test-host',
      },
    ]);
  });
});

test('the state of the queue is counted, with what waits for a worker that is not there', async () => {
  expect(await stats(t.db)).toMatchObject({
    pending: 4,
    parked: 2,
    started: 1,
    completed: 1,
    failed: 1,
    cancelled: 0,
    other: 0,
    completed_last_hour: 1,
    failed_last_hour: 1,
    oldest_pending_seconds: expect.any(Number),
    stranded: [{ worker_id: 'nobody-1', issues: 1, seen: false }],
  });
  await t.sql`update cape_workers set heartbeat_at = now() - interval '1 minute'`;
  expect((await stats(t.db)).stranded).toEqual([
    { worker_id: 'alleycat-1', issues: 1, seen: true },
    { worker_id: 'nobody-1', issues: 1, seen: false },
  ]);
});

test('rows in odd states are found', async () => {
  const none = {
    other_status: 0,
    started_unleased: 0,
    parked_for_good: 0,
    for_unseen: 1,
    out_of_attempts: 0,
    leased_by_nobody: 0,
  };
  expect(await oddities(t.db)).toEqual({ ...none, held_by_others: 0 });
  await t.sql`update cape_issues set status = 'started' where id = ${ids[4]!}`;
  expect(await oddities(t.db)).toEqual({ ...none, held_by_others: 1 });
});

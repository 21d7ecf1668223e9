import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { expired, rescue } from '../../src/queue/rescue.js';
import { createTestDatabase } from '../support/database.js';
import { startHoldingProxy } from '../support/holding-proxy.js';
import { issuesOf } from '../support/issues.js';
import { startProxy, type TcpProxy } from '../support/proxy.js';
import { until } from '../support/until.js';
import { startWorker, type TestWorker, tempFolder } from '../support/worker.js';

const { url, sql, db } = await createTestDatabase();
const { add, issue, completed, clear } = issuesOf(sql);
let proxy: TcpProxy;

beforeEach(async () => {
  await clear();
  proxy = await startProxy(url);
});
afterEach(() => proxy.close());

const outageLines = (worker: TestWorker) =>
  worker.lines.filter((line) => line.includes('trying again until it is back'));

describe('an answer that is lost', () => {
  test('to a claim: what it took is worked on, once', async () => {
    const talk = await startHoldingProxy(url);
    const runs: number[] = [];
    const hold = talk.hold('reply', ({ text }) => text.includes('insert into cape_leases'));
    const id = await add('ambiguous');
    const worker = startWorker({
      databaseUrl: talk.url(url),
      pollInterval: '200ms',
      handler: (one) => runs.push(one.id),
    });
    await hold.reached;
    await until(async () => (await sql`select from cape_leases`).length === 1, { what: 'the claim to be committed' });
    hold.cut();
    expect(await completed(id)).toMatchObject({ attempt: 1, failures: 0, crashes: 0 });
    expect(runs).toEqual([id]);
    expect(worker.lines).toContain(`warn: issue ${id}: the answer to its claim was lost, the claim was not`);
    await talk.close();
  });

  test('to a settlement: it is asked about, not sent again, and the next issue is taken', async () => {
    const talk = await startHoldingProxy(url);
    const hold = talk.hold('reply', ({ text }) => text.includes('json_to_recordset'));
    const worker = startWorker({ databaseUrl: talk.url(url), pollInterval: '200ms', handler: () => {} });
    const id = await add('unanswered');
    await hold.reached;
    await until(async () => (await issue(id)).status === 'completed', { what: 'the settlement to be committed' });
    hold.cut();
    await completed(await add('next'));
    expect(worker.lines.filter((line) => line.includes('no longer ours'))).toEqual([]);
    expect(await sql`select from cape_attempts`).toHaveLength(2);
    await talk.close();
  });

  test('late: a cancel that is heard before the answer to the claim ends the command all the same, at once', async () => {
    const talk = await startHoldingProxy(url);
    const claim = talk.hold('reply', ({ text }) => text.includes('insert into cape_leases'));
    const id = await add('cancelled at once');
    const worker = startWorker({ databaseUrl: talk.url(url), pollInterval: '1h', command: `sh -c 'sleep 60'` });
    await claim.reached;
    await until(async () => (await sql`select from cape_leases`).length === 1);
    await until(
      async () => (await sql`select from pg_stat_activity where query like 'listen "cape_proof%'`).length > 0,
    );
    await new Promise((done) => setTimeout(done, 500)); // what it renews upon listening is over
    const renewal = talk.hold('reply', ({ text }) => text.includes('as registered'));
    await sql`update cape_leases set cancel = 'enough' where issue_id = ${id}`;
    await sql`select pg_notify('cape_issues', 'cancel')`;
    await renewal.reached; // which does not know the attempt yet
    renewal.release();
    claim.release();
    const released = performance.now();
    await until(async () => (await issue(id)).status === 'cancelled');
    expect(performance.now() - released).toBeLessThan(8000);
    expect(worker.lines.filter((line) => line.startsWith('error'))).toEqual([]);
    await talk.close();
  });

  test('to batches: those who claimed beside what was being settled have it all the same', async () => {
    const runs = new Map<number, number>();
    const handler = ({ id }: { id: number }) => void runs.set(id, (runs.get(id) ?? 0) + 1);
    await sql`insert into cape_issues (description) select 'n ' || n from generate_series(1, 12000) n`;
    startWorker({ databaseUrl: proxy.url(url), pollInterval: '100ms', concurrency: 10, handler });
    const left = async () => (await sql`select from cape_issues where status <> 'completed'`).length;
    // Queue, leases and listener make three.
    await until(() => proxy.open > 3, { what: 'a connection beside' });
    for (let cut = 0; cut < 8 && (await left()) > 0; cut++) {
      proxy.mode = 'cut';
      await new Promise((done) => setTimeout(done, 25));
      proxy.mode = 'pass';
      const before = await left();
      await until(async () => before === 0 || (await left()) < before);
    }
    await until(async () => (await left()) === 0);
    expect([...runs.values()].filter((count) => count !== 1)).toEqual([]);
    expect(runs.size).toBe(12000);
    expect(await sql`select from cape_issues where attempt <> 1 or crashes > 0 or failures > 0`).toHaveLength(0);
  });

  test('again and again, at random: sixty issues still run exactly once each', async () => {
    const runs = new Map<number, number>();
    const handler = async ({ id }: { id: number }) => {
      runs.set(id, (runs.get(id) ?? 0) + 1);
      await new Promise((done) => setTimeout(done, 5));
    };
    await sql`insert into cape_issues (description) select 'n ' || n from generate_series(1, 60) n`;
    startWorker({ databaseUrl: proxy.url(url), pollInterval: '100ms', concurrency: 3, handler });
    // Two seconds of it; the pauses between tries grow meanwhile, and the rest is worked off after that.
    for (let cut = 0; cut < 20; cut++) {
      proxy.mode = 'pass';
      await new Promise((done) => setTimeout(done, 75));
      proxy.mode = 'cut';
      await new Promise((done) => setTimeout(done, 25));
    }
    proxy.mode = 'pass';
    await until(async () => (await sql`select from cape_issues where status <> 'completed'`).length === 0, {
      timeoutMs: 25_000,
    });
    expect(proxy.accepted).toBeGreaterThan(6);
    expect([...runs.values()].filter((count) => count !== 1)).toEqual([]);
    expect(await sql`select from cape_issues where attempt <> 1 or crashes > 0 or failures > 0`).toHaveLength(0);
  });
});

describe('a database that is gone for a while', () => {
  test('costs a running command nothing: it runs on, and its result is written when the database is back', async () => {
    const dir = tempFolder();
    const worker = startWorker({
      databaseUrl: proxy.url(url),
      workingDir: dir,
      lease: '20s',
      command: `sh -c 'while ! test -e go; do sleep 0.05; done'`,
    });
    const id = await add('long');
    await until(() => worker.lines.some((line) => line.includes('attempt 1 started')));
    proxy.mode = 'refuse';
    proxy.reset();
    await until(() => outageLines(worker).length > 0);
    writeFileSync(join(dir, 'go'), '');
    await until(() => worker.lines.some((line) => line.includes('attempt 1 succeeded')));
    expect((await issue(id)).status).toBe('started');
    proxy.mode = 'pass';
    expect(await completed(id)).toMatchObject({ attempt: 1, crashes: 0 });
    expect(outageLines(worker)).toHaveLength(1);
    await until(() => worker.lines.some((line) => line.includes('the database is back')));
  });

  test('ends a command in time before its lease can be taken, and the attempt costs nothing', async () => {
    // Trusted for lease - grace - margin = 10 - 0.5 - 5 = 4.5 s after the last confirmed renewal.
    const worker = startWorker({
      databaseUrl: proxy.url(url),
      lease: '10s',
      command: `sh -c 'test "$CAPE_ATTEMPT" = 2 || sleep 60'`,
    });
    const id = await add('long');
    await until(() => worker.lines.some((line) => line.includes('attempt 1 started')));
    proxy.mode = 'blackhole';
    const [lease] = await sql`select extract(epoch from lease_until) * 1000 as until from cape_leases`;
    await until(() => worker.lines.some((line) => line.includes('attempt 1 interrupted')), { timeoutMs: 15_000 });
    expect(Date.now()).toBeLessThan(Number(lease!.until));
    proxy.mode = 'pass';
    proxy.reset();
    expect(await completed(id)).toMatchObject({ attempt: 2, failures: 0, crashes: 0 });
  });

  test('costs no crash where the command ended meanwhile and another worker took the issue before that could be told', async () => {
    const dir = tempFolder();
    const command = `sh -c 'test "$CAPE_ATTEMPT" = 2 || while ! test -e go; do sleep 0.05; done'`;
    const worker = startWorker({ databaseUrl: proxy.url(url), workingDir: dir, lease: '20s', command });
    const id = await add('ends while nobody can be told');
    await until(() => worker.lines.some((line) => line.includes('attempt 1 started')));
    proxy.mode = 'blackhole';
    writeFileSync(join(dir, 'go'), '');
    await until(() => worker.lines.some((line) => line.includes('attempt 1 succeeded')));
    await sql`update cape_leases set lease_until = now() - interval '1 second'`;
    expect(await rescue(db, await expired(db))).toMatchObject([{ id, attempt: 1 }]);
    expect((await issue(id)).crashes).toBe(1);
    proxy.mode = 'pass';
    proxy.reset();
    await completed(id, 40_000);
    await until(async () => (await issue(id)).crashes === 0, { what: 'the crash to be taken back' });
    expect(await sql`select outcome from cape_attempts order by attempt`).toMatchObject([
      { outcome: 'interrupted' },
      { outcome: 'succeeded' },
    ]);
  }, 90_000);

  test('counts for a deadline from before the claim was sent, however late its answer', async () => {
    // Trusted for 6.5 s from the moment when the claim was sent, of which its answer takes 5.
    const talk = await startHoldingProxy(proxy.url(url));
    // There before the worker is: a look round that is under way might take it past the hold.
    await add('long');
    const hold = talk.hold('reply', ({ text }) => text.includes('insert into cape_leases'));
    const worker = startWorker({ databaseUrl: talk.url(url), lease: '12s', command: `sh -c 'sleep 60'` });
    await hold.reached;
    const sent = performance.now();
    await until(async () => (await sql`select from cape_leases`).length === 1);
    await new Promise((done) => setTimeout(done, 500));
    proxy.mode = 'blackhole'; // no renewal gets through any more
    await new Promise((done) => setTimeout(done, 4500));
    hold.release();
    await until(() => worker.lines.some((line) => line.includes('attempt 1 interrupted')), { timeoutMs: 20_000 });
    // From its answer it would be 11.5 s.
    expect(performance.now() - sent).toBeLessThan(11_000);
    proxy.mode = 'pass';
    proxy.reset();
    await talk.close();
  });

  test('through cut sessions is hardly noticed, and inserts wake the worker again', async () => {
    const worker = startWorker({ databaseUrl: url, pollInterval: '1h' });
    await completed(await add('before'));
    await sql`select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'cape-worker test-1%'`;
    await completed(await add('after'));
    expect(worker.lines.filter((line) => line.startsWith('error'))).toEqual([]);
  });

  test('does not keep a worker from leaving when it is asked twice', async () => {
    const worker = startWorker({ databaseUrl: proxy.url(url), command: `sh -c 'sleep 60'` });
    await add('long');
    await until(async () => (await sql`select from cape_leases`).length === 1);
    proxy.mode = 'blackhole';
    const since = performance.now();
    await worker.stop(2);
    expect(performance.now() - since).toBeLessThan(30_000);
  }, 40_000);

  test('is not called back by a worker that stops and has nothing to ask it', async () => {
    const settings = { concurrency: 2, pollInterval: '1h', command: `sh -c 'sleep 60'` };
    const worker = startWorker({ databaseUrl: proxy.url(url), ...settings });
    await add('long');
    await until(() => worker.lines.some((line) => line.includes('attempt 1 started')));
    await until(async () => (await sql`select from cape_workers where waiting_until is not null`).length === 1);
    await new Promise((done) => setTimeout(done, 1000)); // for the answers to all that is asked at a start
    proxy.mode = 'refuse';
    proxy.reset();
    worker.worker.stop();
    // Its mark is taken back a second later, which fails, and is not tried again.
    await until(() => outageLines(worker).length > 0);
    // For the line that must not come: upkeep goes round every second, and asks the database nothing most of the time.
    await new Promise((done) => setTimeout(done, 2500));
    await worker.stop();
    expect(worker.lines.filter((line) => line.includes('the database is back'))).toEqual([]);
    expect(outageLines(worker)).toHaveLength(1);
  }, 60_000);

  test('at start is waited for, with one line', async () => {
    proxy.mode = 'refuse';
    const id = await add('waiting');
    const worker = startWorker({ databaseUrl: proxy.url(url) });
    await until(() => outageLines(worker).length > 0);
    await until(() => proxy.accepted > 3);
    expect(outageLines(worker)).toHaveLength(1);
    proxy.mode = 'pass';
    await completed(id);
  });

  test('but a refused login at start is said at once', async () => {
    const wrong = new URL(url);
    wrong.pathname = '/no_such_database';
    await expect(startWorker({ databaseUrl: wrong.href }).done).rejects.toMatchObject({ kind: 'database' });
  });
});

describe('somebody else', () => {
  test('who holds the row of a running issue locked delays its settlement, and neither its renewals nor its neighbours', async () => {
    let finish: (() => void) | undefined;
    const handler = ({ description }: { description: string }) =>
      description === 'locked' ? new Promise<void>((done) => (finish = done)) : undefined;
    startWorker({ databaseUrl: url, concurrency: 2, handler, lease: '12s' });
    const id = await add('locked');
    await until(() => finish);
    const [before] = await sql`select lease_until from cape_leases`;
    await sql.begin(async (tx) => {
      await tx`update cape_issues set priority = 1 where id = ${id}`;
      await until(
        async () => (await sql`select from cape_leases where lease_until > ${before!.lease_until}`).length === 1,
        { what: 'a renewal' },
      );
      finish!();
      await completed(await add('neighbour'));
      expect((await issue(id)).status).toBe('started');
    });
    expect(await completed(id)).toMatchObject({ attempt: 1, priority: 1 });
  });

  test("who holds a worker's own row locked keeps it from nothing but taking its name off the list, which waits", async () => {
    const worker = startWorker({ databaseUrl: url });
    await until(async () => (await sql`select from cape_workers where waiting_until is not null`).length === 1);
    await sql.begin(async (tx) => {
      await tx`select from cape_workers for update`;
      await completed(await add('starts the helpers, which are noted in that row'));
      await new Promise((done) => setTimeout(done, 1000)); // upkeep looks at what is due, on the same connection
      worker.worker.stop();
      // Longer than a worker that leaves waits for the connection of its renewals to come free.
      await new Promise((done) => setTimeout(done, 3000));
    });
    await worker.done;
    expect(await sql`select from cape_workers where stopped_at is null`).toHaveLength(0);
  });

  test('who takes the worker id while a worker is out of reach makes it end its work and leave', async () => {
    const worker = startWorker({ databaseUrl: url, command: `sh -c 'sleep 60'`, lease: '12s' });
    await add('long');
    await until(async () => (await sql`select from cape_leases`).length === 1);
    await sql`update cape_workers set instance = gen_random_uuid()`;
    await expect(worker.done).rejects.toMatchObject({ kind: 'taken' });
    // It could still write, so nobody has to wait for the lease, and it was no crash.
    expect(await sql`select status, leased, crashes from cape_issues`).toMatchObject([
      { status: 'pending', leased: false, crashes: 0 },
    ]);
  });
});

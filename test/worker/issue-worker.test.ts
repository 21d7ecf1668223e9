import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { loadConfig } from '../../src/config.js';
import type { Issue } from '../../src/core/issue.js';
import { IssueWorker } from '../../src/worker/issue-worker.js';
import { createTestDatabase } from '../support/database.js';
import { fastest } from '../support/fastest.js';
import { isRunning, issuesOf } from '../support/issues.js';
import { until } from '../support/until.js';
import { startWorker, tempFolder } from '../support/worker.js';

const { url: databaseUrl, sql } = await createTestDatabase();
const { add, issue, attempts, ended, clear } = issuesOf(sql);

beforeEach(clear);

describe('a command', () => {
  test('gets id and description, and its issue ends completed with history, log and result', async () => {
    const { dir } = startWorker({ databaseUrl, command: `sh -c 'echo "$0|$1"; echo done > "$CAPE_RESULT_FILE"'` });
    const id = await add('Fix the login bug');
    const row = await ended(id);
    expect(row).toMatchObject({
      status: 'completed',
      assigned_worker_id: 'test-1',
      attempt: 1,
      failures: 0,
      result: 'done\n',
    });
    expect(row.started_at).not.toBeNull();
    const [attempt] = await attempts(id);
    expect(attempt).toMatchObject({ attempt: 1, worker_id: 'test-1', outcome: 'succeeded', exit_code: 0 });
    expect(attempt!.tail).toBe(`${id}|Fix the login bug\n`);
    expect(readFileSync(join(dir, 'logs', 'issues', String(id), '1.log'), 'utf8')).toBe(`${id}|Fix the login bug\n`);
  });

  test('gets newlines, quotes, a leading dash and any Unicode unchanged, as argument and in the issue file', async () => {
    const text = `--help "it's" $HOME \`id\`\n\tü 🚀 \u202e {id} \\`;
    const out = join(tempFolder(), 'seen');
    const program = `const fs=require('fs');fs.writeFileSync(${JSON.stringify(out)},JSON.stringify([process.argv[2],JSON.parse(fs.readFileSync(process.env.CAPE_ISSUE_FILE)).description,JSON.parse(fs.readFileSync(process.env.CAPE_ISSUE_FILE)).created_at]))`;
    const script = join(tempFolder(), 'look.cjs');
    writeFileSync(script, program);
    startWorker({ databaseUrl, command: `'${process.execPath}' '${script}' {description}` });
    await ended(await add(text));
    expect(JSON.parse(readFileSync(out, 'utf8'))).toEqual([
      text,
      text,
      expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
    ]);
  });

  test('sees its variables and neither the database nor the service manager', async () => {
    startWorker({
      databaseUrl,
      command: 'env -0 {id}'.replace(' {id}', ''),
      environment: {
        PATH: process.env.PATH,
        HOME: '/h',
        DATABASE_URL: databaseUrl,
        NOTIFY_SOCKET: '/x',
        PGPASSWORD: 'p',
        SECRET: 's',
      },
    });
    const id = await add('x');
    await until(async () => (await attempts(id)).length > 0);
    const log = readFileSync((await attempts(id))[0]!.log_path! ?? '', 'utf8');
    expect(log).not.toMatch(/DATABASE_URL|NOTIFY_SOCKET|PGPASSWORD|SECRET/);
  });

  test('fails, waits a growing pause, and succeeds at the third attempt', async () => {
    startWorker({ databaseUrl, command: `sh -c 'test "$CAPE_ATTEMPT" = 3'`, maxAttempts: 5 });
    const id = await add('flaky');
    expect(await ended(id)).toMatchObject({ status: 'completed', attempt: 3, failures: 2, run_at: null });
    expect((await attempts(id)).map((each) => each.outcome)).toEqual(['failed', 'failed', 'succeeded']);
  });

  test.each([
    [64, 'failed', 'invalid'],
    [65, 'failed', 'invalid'],
    [78, 'failed', 'invalid'],
  ])('that exits %i ends the issue %s at once', async (code, status, outcome) => {
    startWorker({ databaseUrl, command: `sh -c 'exit ${code}'` });
    const id = await add('refused');
    expect(await ended(id)).toMatchObject({ status, attempt: 1, last_error: `exit code ${code}: refused for good` });
    expect((await attempts(id))[0]).toMatchObject({ outcome, exit_code: code });
  });

  test('that exits 75 goes back uncharged and comes again', async () => {
    startWorker({ databaseUrl, command: `sh -c 'test "$CAPE_ATTEMPT" -gt 4 || exit 75'`, maxAttempts: 1 });
    const id = await add('not now');
    expect(await ended(id)).toMatchObject({ status: 'completed', failures: 0, snoozes: 4, attempt: 5 });
  });

  test('that is killed by a signal of somebody else has failed, and the error names the signal', async () => {
    startWorker({ databaseUrl, command: `sh -c 'kill -SEGV $$'`, maxAttempts: 1 });
    const id = await add('crash');
    expect(await ended(id)).toMatchObject({ status: 'failed', last_error: expect.stringContaining('SIGSEGV') });
  });

  test('that outlives its timeout is ended', async () => {
    startWorker({ databaseUrl, command: `sh -c 'sleep 60'`, maxAttempts: 1, timeout: '1s' });
    const id = await add('slow');
    expect(await ended(id)).toMatchObject({ status: 'failed', last_error: expect.stringContaining('1 s') });
    expect((await attempts(id))[0]).toMatchObject({ outcome: 'timed_out' });
  });

  test('with a description too long for an argument fails the issue with a word on what to do', async () => {
    startWorker({ databaseUrl });
    const id = await add('x'.repeat(140_000));
    expect(await ended(id)).toMatchObject({
      status: 'failed',
      attempt: 1,
      last_error: expect.stringContaining('CAPE_ISSUE_FILE'),
    });
  });

  test('that is cancelled while it runs ends within a second and its issue ends cancelled', async () => {
    startWorker({ databaseUrl, command: `sh -c 'sleep 60'` });
    const cancelling = async () => {
      const id = await add('long');
      await until(async () => (await issue(id)).status === 'started');
      const since = performance.now();
      await sql.begin(async (tx) => {
        await tx`select from cape_issues where id = ${id} for no key update`;
        await tx`update cape_leases set cancel = 'enough' where issue_id = ${id}`;
        await tx`select pg_notify('cape_issues', 'cancel')`;
      });
      expect(await ended(id)).toMatchObject({ status: 'cancelled' });
      return performance.now() - since;
    };
    expect(await fastest(1000, cancelling)).toBeLessThan(1000);
  });

  test('that was set back to pending by hand is ended and runs again', async () => {
    startWorker({ databaseUrl, command: `sh -c 'test "$CAPE_ATTEMPT" = 2 || sleep 60'` });
    const id = await add('by hand');
    await until(async () => (await issue(id)).status === 'started');
    await sql`update cape_issues set status = 'pending' where id = ${id}`;
    expect(await ended(id)).toMatchObject({ status: 'completed', attempt: 2, failures: 0 });
  });

  test('whose row is deleted while it runs is ended', async () => {
    const { dir } = startWorker({ databaseUrl, command: `sh -c 'echo $$ > pid; exec sleep 60'` });
    const id = await add('gone');
    const pid = await until(() => Number(readFileSync(join(dir, 'pid'), 'utf8')));
    await sql`delete from cape_issues where id = ${id}`;
    await until(() => !isRunning(pid), { what: 'the end of the command' });
    expect(await sql`select from cape_attempts`).toHaveLength(0);
  });

  test('that can not be started costs no attempt, and the worker waits until it can', async () => {
    const command = join(tempFolder(), 'tool');
    writeFileSync(command, '#!/bin/sh\nexit 0\n', { mode: 0o755 });
    const { lines } = startWorker({ databaseUrl, command: `'${command}'` });
    await ended(await add('first'));
    writeFileSync(command, '#!/no/such/interpreter\n', { mode: 0o755 });
    const id = await add('second');
    await until(() => lines.some((line) => line.startsWith("error: the command can't be started")));
    await until(async () => (await issue(id)).run_at !== null);
    expect(await issue(id)).toMatchObject({ status: 'pending', failures: 0, crashes: 0, attempt: 1 });
    writeFileSync(command, '#!/bin/sh\nexit 0\n', { mode: 0o755 });
    await sql`update cape_issues set run_at = null where id = ${id}`;
    expect(await ended(id)).toMatchObject({ status: 'completed', failures: 0 });
    expect(lines).toContain('info: the command can be started again');
  });
});

describe('a handler', () => {
  test('runs in place of the command, and what it returns is the result', async () => {
    startWorker({ databaseUrl, handler: async (one, { attempt }) => ({ seen: one.description, attempt }) });
    expect(await ended(await add('typed'))).toMatchObject({
      status: 'completed',
      result: '{"seen":"typed","attempt":1}',
    });
  });

  test('that throws has failed; one that is cancelled hears its signal', async () => {
    startWorker({ databaseUrl, maxAttempts: 1, handler: () => Promise.reject(new Error('no\nway')) });
    expect(await ended(await add('bad'))).toMatchObject({ status: 'failed', last_error: 'no' });
  });

  test('is told by its signal that the time is over', async () => {
    startWorker({
      databaseUrl,
      maxAttempts: 1,
      timeout: '1s',
      handler: (_one, { signal }) =>
        new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
    });
    const id = await add('slow');
    await ended(id);
    expect((await attempts(id))[0]).toMatchObject({ outcome: 'timed_out' });
  });
});

describe('the queue', () => {
  test('is worked off by priority, then age; a poison issue holds nobody up', async () => {
    const order: string[] = [];
    const names = ['bad', ...Array.from({ length: 20 }, (_, n) => `good ${n}`)];
    for (const name of names) await add(name);
    await add('urgent', { priority: 5 });
    const seen = (name: string) => {
      order.push(name);
      if (name === 'bad') throw new Error('always');
    };
    const handler = (one: { description: string }) => seen(one.description);
    const { lines } = startWorker({ databaseUrl, retryBase: '1s', retryCap: '5s', handler });
    await until(async () => (await sql`select from cape_issues where status = 'completed'`).length === 21);
    expect(order.slice(0, 22)).toEqual(['urgent', ...names]);
    const [bad] = await sql<Issue[]>`select * from cape_issues where description = 'bad'`;
    expect(await ended(bad!.id)).toMatchObject({ status: 'failed', failures: 3 });
    const pauses = lines.flatMap((line) => /next attempt in ([\d.]+) s/.exec(line)?.[1] ?? []).map(Number);
    expect(pauses).toHaveLength(2);
    expect(pauses[1]).toBeGreaterThan(pauses[0]!);
    const times = (await attempts(bad!.id)).map((each) => each.started_at.getTime());
    for (const [n, pause] of pauses.entries()) expect(times[n + 1]! - times[n]!).toBeGreaterThan(pause * 1000 - 100);
  });

  test('is heard at once by an idle worker: a plain INSERT wakes it long before it would poll', async () => {
    const { lines } = startWorker({ databaseUrl, pollInterval: '1h' });
    await until(async () => lines.some((line) => line.includes('is ready')));
    await until(async () => (await sql`select from cape_workers where waiting_until is not null`).length === 1);
    for (let n = 0; n < 5; n++) await ended(await add(`wake ${n}`));
  });

  test('is watched until those have ended who wrote before the worker said that it waits', async () => {
    let worker: ReturnType<typeof startWorker> | undefined;
    let id = 0;
    // Its trigger sees nobody waiting, and it commits in silence long after the worker has gone to sleep.
    await sql.begin(async (tx) => {
      const [row] = await tx`insert into cape_issues (description) values ('silent') returning id`;
      id = row!.id;
      worker = startWorker({ databaseUrl, pollInterval: '1h' });
      await until(async () => (await sql`select from cape_workers where waiting_until is not null`).length === 1);
      await new Promise((done) => setTimeout(done, 1500));
    });
    const committed = performance.now();
    await ended(id);
    expect(performance.now() - committed).toBeLessThan(5000);
    expect(worker).toBeDefined();
  });

  test('is looked at again when a row comes while a claim that cannot see it is under way', async () => {
    await sql.unsafe(`
      create function test_slow() returns trigger language plpgsql as 'begin perform pg_sleep(2); return new; end';
      create trigger test_slow before update on cape_issues for each row
        when (new.status = 'started' and new.description = 'slow') execute function test_slow()`);
    try {
      let finish = () => {};
      const held = new Promise<void>((done) => (finish = done));
      const handler = ({ description }: { description: string }) => (description === 'slow' ? held : 'done');
      startWorker({ databaseUrl, pollInterval: '1h', concurrency: 2, handler });
      await until(async () => (await sql`select from cape_workers where waiting_until is not null`).length === 1);
      await ended(await add('first'));
      const slow = await add('slow');
      await until(
        async () =>
          (await sql`select from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()`)
            .length,
      );
      await ended(await add('unseen'));
      finish();
      await ended(slow);
    } finally {
      await sql.unsafe('drop trigger test_slow on cape_issues; drop function test_slow()');
    }
  });

  test('keeps a row directed to another worker for that one, on later attempts too', async () => {
    startWorker({ databaseUrl, workerId: 'a', handler: () => 'a' });
    startWorker({
      databaseUrl,
      workerId: 'b',
      handler: (_, { attempt }) => (attempt < 3 ? Promise.reject(new Error('again')) : 'b'),
    });
    const id = await add('for b', { assigned_worker_id: 'b' });
    expect(await ended(id)).toMatchObject({ status: 'completed', assigned_worker_id: 'b', result: 'b' });
    expect((await attempts(id)).map((each) => each.worker_id)).toEqual(['b', 'b', 'b']);
  });

  test('is left alone by a paused worker, and taken up when it is resumed', async () => {
    await sql`insert into cape_pauses (worker_id) values ('*')`;
    const { lines } = startWorker({ databaseUrl, pollInterval: '100ms' });
    await until(() => lines.some((line) => line.includes('is ready')));
    const id = await add('later');
    await until(async () => (await sql`select from cape_workers where waiting_until is not null`).length === 1);
    expect(await issue(id)).toMatchObject({ status: 'pending', attempt: 0 });
    await sql`delete from cape_pauses`;
    await ended(id);
  });
});

describe('leaving', () => {
  test('with --once it leaves after one issue', async () => {
    await add('one');
    await add('two');
    await startWorker({ databaseUrl, once: true, concurrency: 4 }).done;
    expect(await sql`select status from cape_issues order by id`).toMatchObject([
      { status: 'completed' },
      { status: 'pending' },
    ]);
  });

  test('with --drain it waits for retries, and not for a row that somebody wants to run tomorrow', async () => {
    await add('flaky');
    await add('tomorrow', { run_at: new Date(Date.now() + 86_400_000) });
    await startWorker({ databaseUrl, drain: true, concurrency: 2, command: `sh -c 'test "$CAPE_ATTEMPT" = 2'` }).done;
    expect(await sql`select status from cape_issues order by id`).toMatchObject([
      { status: 'completed' },
      { status: 'pending' },
    ]);
  });

  test('idle it stops within a second and gives its id back', async () => {
    const stopping = async () => {
      const { lines, stop } = startWorker({ databaseUrl });
      await until(() => lines.some((line) => line.includes('is ready')));
      const since = performance.now();
      await stop();
      return performance.now() - since;
    };
    expect(await fastest(1000, stopping)).toBeLessThan(1000);
    expect(await sql`select stopped_at is not null as left from cape_workers`).toMatchObject([{ left: true }]);
  });

  test('asked once it lets the running issue finish and claims no other', async () => {
    const workingDir = tempFolder();
    const command = `sh -c 'while ! test -e go; do sleep 0.05; done'`;
    const { stop } = startWorker({ databaseUrl, command, workingDir });
    const id = await add('running');
    const next = await add('next');
    await until(async () => (await issue(id)).status === 'started');
    const stopped = stop();
    expect(
      await Promise.race([stopped.then(() => 'stopped'), new Promise((done) => setTimeout(done, 300, 'runs'))]),
    ).toBe('runs');
    writeFileSync(join(workingDir, 'go'), '');
    await stopped;
    expect(await issue(id)).toMatchObject({ status: 'completed', attempt: 1 });
    expect(await issue(next)).toMatchObject({ status: 'pending', attempt: 0 });
  });

  test('asked twice it ends what runs and gives it back uncharged, to run again elsewhere', async () => {
    const { stop } = startWorker({ databaseUrl, command: `sh -c 'sleep 60'` });
    const id = await add('long');
    await until(async () => (await issue(id)).status === 'started');
    await stop(2);
    expect(await issue(id)).toMatchObject({
      status: 'pending',
      failures: 0,
      crashes: 0,
      run_at: null,
      assigned_worker_id: null,
    });
    expect(await attempts(id)).toMatchObject([{ outcome: 'interrupted' }]);
    startWorker({ databaseUrl, workerId: 'test-2' });
    expect(await ended(id)).toMatchObject({ status: 'completed', attempt: 2 });
  });

  test('with a drain timeout it ends what runs when that is over', async () => {
    const { stop } = startWorker({ databaseUrl, command: `sh -c 'sleep 60'`, drainTimeout: '300ms' });
    const id = await add('long');
    await until(async () => (await issue(id)).status === 'started');
    await stop();
    expect(await issue(id)).toMatchObject({ status: 'pending', failures: 0 });
  });
});

describe('starting', () => {
  test('is refused where no command can be found, before any database is asked', async () => {
    const { done } = startWorker({ databaseUrl: 'postgres://127.0.0.1:1/none', command: 'no-such-tool-anywhere' });
    await expect(done).rejects.toThrow(/no-such-tool-anywhere/);
  });

  test('is refused while another live worker has the id, which the error names', async () => {
    const { lines } = startWorker({ databaseUrl, machineId: 'another machine' });
    await until(() => lines.some((line) => line.includes('is ready')));
    await expect(startWorker({ databaseUrl }).done).rejects.toMatchObject({
      kind: 'taken',
      message: expect.stringContaining(`pid ${process.pid}`),
    });
  });

  test('is refused with settings that leave no time for an outage', () => {
    expect(() => startWorker({ databaseUrl, lease: '10s', grace: '8s' })).toThrow(
      /--lease: got 10s; must be at least 18s with --grace 8s/,
    );
  });

  test.each([
    ['claimAhed', /^claimAhed: not taken by this IssueWorker; did you mean claimAhead\?$/],
    ['concurency', /^concurency: .*did you mean concurrency\?$/],
    ['http', /^http: .*serves no HTTP/],
    ['apiTokens', /^apiTokens: .*serves no HTTP/],
    ['apiUrl', /^apiUrl: .*serves no HTTP/],
  ])('is refused with the unknown option %s', (name, words) => {
    expect(() => startWorker({ databaseUrl, [name]: 0 })).toThrow(words);
  });

  test('is refused with a setting beside a whole config', () => {
    const { config } = loadConfig({ flags: { workerId: 'test-1' }, env: {}, dotenv: false });
    const options = { databaseUrl, config, concurrency: 4 };
    expect(() => new IssueWorker(options)).toThrow(/^concurrency: .*config has it already$/);
  });
});

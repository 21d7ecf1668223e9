import { beforeAll, describe, expect, test } from 'vitest';
import { enqueue } from '../../src/queue/enqueue.js';
import { checkNewIssue } from '../../src/queue/new-issue.js';
import { settle } from '../../src/queue/settle.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { actor, claimAs, done, stored } from './actors.js';

let t: TestDatabase;

beforeAll(async () => {
  t = await createTestDatabase();
});

describe('adding issues', () => {
  test('gives ids in the order of the issues, keyed and keyless mixed', async () => {
    const issues = ['a', 'b', 'c', 'd', 'e'].map((description, i) =>
      i % 2 === 0 ? { description } : { description, key: `mixed-${i}` },
    );
    const ids = await enqueue(t.db, issues);
    const rows = await t.sql`select id, description from cape_issues where id in ${t.sql(ids)} order by id`;
    expect(rows.map(({ description }) => description)).toEqual(['a', 'b', 'c', 'd', 'e']);
    expect(ids).toEqual(rows.map(({ id }) => id));
  });

  test('keeps any text exactly', async () => {
    const description = `-x "quoted" 'single' \\back $1 {id}\n\ttab \u001b[31m ünïcödé 🚀 ${'x'.repeat(200_000)}`;
    const [id] = (await enqueue(t.db, [{ description }])) as [number];
    const [row] = await t.sql`select description from cape_issues where id = ${id}`;
    expect(row?.description).toBe(description);
  });

  test('stores what was asked for and directs it', async () => {
    const [id] = (await enqueue(t.db, [
      { description: 'x', priority: -5, worker: 'w-9', maxAttempts: 0, timeoutSeconds: 60 },
    ])) as [number];
    expect(await stored(t.sql, id)).toMatchObject({
      priority: -5,
      assigned_worker_id: 'w-9',
      target_worker_id: 'w-9',
      max_attempts: 0,
      timeout_seconds: 60,
      run_at: null,
    });
  });

  test('parks for a time to come, by the clock of the database, and not for one that has passed', async () => {
    const [later, past] = (await enqueue(t.db, [
      { description: 'later', delayMs: 600_000 },
      { description: 'past', runAt: new Date(Date.now() - 60_000) },
    ])) as [number, number];
    const [row] =
      await t.sql`select extract(epoch from run_at - created_at)::float8 as s from cape_issues where id = ${later}`;
    expect(row?.s).toBe(600);
    expect((await stored(t.sql, past)).run_at).toBeNull();
  });
});

describe('a key', () => {
  test('gives the unfinished issue that has it, from twenty inserters at once', async () => {
    const ids = await Promise.all(
      Array.from({ length: 20 }, async (_, i) => (await enqueue(t.db, [{ description: `${i}`, key: 'once' }]))[0]),
    );
    expect(new Set(ids).size).toBe(1);
    expect(await t.sql`select count(*)::int as n from cape_issues where key = 'once'`).toMatchObject([{ n: 1 }]);
  });

  test('twice in one call gives one issue', async () => {
    const ids = await enqueue(t.db, [
      { description: 'one', key: 'twin' },
      { description: 'two', key: 'twin' },
    ]);
    expect(ids[0]).toBe(ids[1]);
  });

  test('is free again when its issue has ended', async () => {
    const worker = await actor(t.db);
    const [first] = (await enqueue(t.db, [{ description: 'first', key: 'again', worker: worker.id }])) as [number];
    expect(await enqueue(t.db, [{ description: 'meanwhile', key: 'again' }])).toEqual([first]);
    const [claimed] = await claimAs(t.db, worker, { limit: 1 });
    expect(await enqueue(t.db, [{ description: 'while running', key: 'again' }])).toEqual([first]);
    await settle(t.db, [done(claimed!)]);
    const [second] = await enqueue(t.db, [{ description: 'second', key: 'again' }]);
    expect(second).toBeGreaterThan(first);
  });
});

describe('a bad issue is refused in words', () => {
  test.each([
    [{ description: ' \n\t ' }, 'description: got " \\n\\t "; must not be empty'],
    [{ description: 7 }, 'description: got "7"; must be a text'],
    [{ description: 'a\0b' }, 'description: got "a\\u0000b"; must not contain NUL'],
    [{ description: 'half \ud800' }, 'half a surrogate pair'],
    [{ description: 'x', priority: 40_000 }, 'priority: got "40000"; must be a whole number from -32768 to 32767'],
    [{ description: 'x', priority: 1.5 }, 'priority: got "1.5"'],
    [{ description: 'x', worker: '../up' }, 'worker: got "../up"; must be 1 to 100 letters'],
    [{ description: 'x', maxAttempts: -1 }, 'maxAttempts: got "-1"; must be a whole number from 0'],
    [{ description: 'x', timeoutSeconds: 0 }, 'timeoutSeconds: got "0"'],
    [{ description: 'x', key: '' }, 'key: got ""; must be 1 to 200 characters'],
    [{ description: 'x', runAt: new Date(Number.NaN) }, 'runAt: got "Invalid Date"; must be a date'],
    [{ description: 'x', runAt: new Date(), delayMs: 1 }, 'runAt: got it together with delayMs'],
    [{ description: 'x', prority: 1 }, 'unknown field "prority"; known: description, priority'],
    [null, 'issue: got nothing'],
  ])('%j', (issue, message) => {
    expect(() => checkNewIssue(issue)).toThrow(message);
  });
});

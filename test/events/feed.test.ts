/** Readers are given every event once and in order, whatever writers, connections and other readers do. */
import { setTimeout as pause } from 'node:timers/promises';
import postgres from 'postgres';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { IssueEvent } from '../../src/core/event.js';
import { append } from '../../src/events/append.js';
import type { EventFeed } from '../../src/events/feed.js';
import { restamp } from '../../src/events/restamp.js';
import { cancel } from '../../src/queue/operate.js';
import { grantRights } from '../../src/queue/rights.js';
import { settle } from '../../src/queue/settle.js';
import { type Actor, actor, claimAs, done, insert } from '../queue/actors.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { until } from '../support/until.js';
import { feedOf, follow, kinds, names, seqs } from './following.js';

let t: TestDatabase;
let worker: Actor;
const feeds: EventFeed[] = [];

beforeAll(async () => {
  t = await createTestDatabase();
  worker = await actor(t.db, 'alleycat-1');
});

afterEach(async () => {
  await Promise.all(feeds.splice(0).map((feed) => feed.close()));
  await t.sql`delete from cape_issues`;
  await t.sql`delete from cape_readers`;
});

function open(more: Parameters<typeof feedOf>[1] = {}): EventFeed {
  const feed = feedOf(t, more);
  feeds.push(feed);
  return feed;
}

async function running() {
  const [id] = (await insert(t.sql, 'Fix the login bug')) as [number];
  const [claimed] = await claimAs(t.db, worker);
  return { id, claimed: claimed!, held: { id, token: claimed!.token } };
}

const print = (held: { id: number; token: string }, text: string) =>
  append(t.db, [{ ...held, kind: 'output', data: { offset: 0, text } }]);

test('a feed closes soon while the database does not answer', async () => {
  const { id } = await running();
  const feed = feedOf(t);
  const reader = follow((signal) => feed.issue(id, -1, signal));
  await until(() => reader.events.length === 2);
  const tookMs = await t.sql.begin(async (sql) => {
    await sql`lock table cape_events, cape_readers in access exclusive mode`;
    const other = follow((signal) => feed.issue(id, 0, signal));
    await until(async () => {
      const waiting = await sql`select from pg_stat_activity
        where application_name = 'cape-test-feed' and wait_event_type = 'Lock'`;
      return waiting.length > 0;
    });
    const before = performance.now();
    await feed.close();
    await Promise.all([reader.ended, other.ended]);
    return performance.now() - before;
  });
  // 500 ms for the round, 2 s for its connection; it was 13 s.
  expect(tookMs).toBeLessThan(6000);
});

describe('one issue', () => {
  test('is followed from the beginning, as it comes, to its end', async () => {
    const { id, claimed, held } = await running();
    const reader = follow((signal) => open().issue(id, -1, signal));
    await until(() => reader.events.length === 2, { what: 'what was before' });
    await print(held, 'hello');
    await until(() => reader.events.length === 3, { what: 'the output' });
    await settle(t.db, [done(claimed)]);
    await reader.ended;
    expect(kinds(reader.events)).toEqual(['queued', 'started', 'output', 'completed']);
    expect(seqs(reader.events)).toEqual([0, 1, 2, 3]);
    expect(reader.events[2]).toMatchObject({
      issue_id: id,
      attempt: 1,
      worker_id: 'alleycat-1',
      data: { text: 'hello' },
    });
    expect(reader.events[3]).toMatchObject({
      data: { outcome: 'succeeded', exit_code: null, signal: null, error: null },
    });
  });

  test('goes on after any number, also where it has ended, is gone, or was cancelled while it waited', async () => {
    const feed = open();
    const { id, claimed } = await running();
    await settle(t.db, [done(claimed)]);
    const [after, atEnd] = [
      follow((signal) => feed.issue(id, 1, signal)),
      follow((signal) => feed.issue(id, 2, signal)),
    ];
    const gone = follow((signal) => feed.issue(999_999, -1, signal));
    const [pending] = (await insert(t.sql, 'waits')) as [number];
    const waiting = follow((signal) => feed.issue(pending, -1, signal));
    await until(() => waiting.events.length === 1, { what: 'queued' });
    await cancel(t.db, pending);
    await Promise.all([after.ended, atEnd.ended, gone.ended, waiting.ended]);
    expect(kinds(after.events)).toEqual(['completed']);
    expect(atEnd.events).toEqual([]);
    expect(gone.events).toEqual([]);
    expect(kinds(waiting.events)).toEqual(['queued', 'cancelled']);
  });

  test('is not held up by a transaction that has nothing to do with it', async () => {
    const { id, held } = await running();
    const reader = follow((signal) => open().issue(id, 0, signal));
    await t.sql.begin(async (tx) => {
      await tx`insert into cape_issues (description) values ('slow to commit')`;
      await print(held, 'hello');
      await until(() => reader.events.length === 2, { what: 'the output' });
    });
    reader.stop();
    await reader.ended;
  });

  test('with more events than a page holds is given all of them', async () => {
    const { id, claimed, held } = await running();
    const many = Array.from(
      { length: 450 },
      (_, i) => ({ ...held, kind: 'log', data: { level: 'info', message: `${i}` } }) as const,
    );
    await append(t.db, many);
    await settle(t.db, [done(claimed)]);
    const reader = follow((signal) => open().issue(id, -1, signal));
    await reader.ended;
    expect(seqs(reader.events)).toEqual(Array.from({ length: 453 }, (_, i) => i));
  });
});

describe('all issues', () => {
  test('are followed from now on, or after any cursor, also in another process', async () => {
    await running();
    const [feed, other] = [open(), open()];
    const first = follow((signal) => feed.all(null, signal));
    // When it began is known from the first that it is given.
    await until(async () => (await running()) && first.events.length > 0, { what: 'the first event' });
    const { id, claimed, held } = await running();
    await print(held, 'x');
    await settle(t.db, [done(claimed)]);
    const own = () => first.events.filter((event) => event.issue_id === id);
    await until(() => own().length === 3, { what: 'three events' });
    expect(kinds(own())).toEqual(['started', 'output', 'completed']);
    const [{ cursor }] = own() as [IssueEvent];
    const resumed = follow((signal) => other.all(cursor, signal));
    const quiet = follow((signal) => other.all(cursor, signal, { output: false }));
    await until(() => resumed.events.length === 2 && quiet.events.length === 1, { what: 'the rest' });
    expect(kinds(resumed.events)).toEqual(['output', 'completed']);
    expect(kinds(quiet.events)).toEqual(['completed']);
    expect(() => feed.all('7', new AbortController().signal)).toThrow(/cursor "7"/);
  });

  test('with twelve writers of slow transactions and two processes reading: none missed, none twice, in order', async () => {
    const ids = await insert(t.sql, ...Array.from({ length: 24 }, (_, i) => `issue ${i}`));
    const claims = await claimAs(t.db, worker, { limit: 24 });
    const [all, ...others] = [open(), open()].map((feed) => follow((signal) => feed.all('0.0.0', signal)));
    const oneIssue = follow((signal) => feeds[0]!.issue(ids[3]!, 0, signal));
    const slow = follow(
      (signal) => feeds[1]!.all('0.0.0', signal),
      () => pause(15),
    );
    const clients = postgres(t.url, { max: 12 });
    await Promise.all(
      Array.from({ length: 12 }, async (_, w) => {
        for (let n = 0; n < 25; n++) {
          const claim = claims[(w * 2 + (n % 2)) % 24]!;
          await clients.begin(async (tx) => {
            const db = {
              query: (text: string, params: readonly unknown[] = []) => tx.unsafe(text, params as never) as never,
            };
            // Numbered early, committed late: what is committed meanwhile has greater numbers.
            await tx`select pg_current_xact_id()`;
            await tx`select pg_sleep(${(w % 4) * 0.004})`;
            const held = { id: claim.issue.id, token: claim.token };
            const events = Array.from(
              { length: 3 },
              (_, i) => ({ ...held, kind: 'output', data: { offset: i, text: `${w}/${n}` } }) as const,
            );
            while ((await append(db, events))[0]?.state !== 'ok') await pause(1);
            await tx`select pg_sleep(${((w + n) % 3) * 0.004})`;
          });
        }
      }),
    );
    await clients.end();
    await settle(
      t.db,
      claims.map((claim) => done(claim)),
    );
    const total = 24 + 24 + 12 * 25 * 3;
    await until(() => [all!, slow, ...others].every(({ events }) => events.length >= total), { what: 'all events' });
    await oneIssue.ended;
    await pause(60);
    const inTable = await t.sql`select issue_id || '.' || seq as name from cape_events order by xid, issue_id, seq`;
    for (const reader of [all!, slow, ...others]) expect(names(reader.events)).toEqual(inTable.map(({ name }) => name));
    expect(seqs(oneIssue.events)).toEqual(oneIssue.events.map((_, i) => i + 1));
    for (const id of ids)
      expect(seqs(all!.events.filter((event) => event.issue_id === id))).toEqual(
        Array.from({ length: all!.events.filter((event) => event.issue_id === id).length }, (_, i) => i + 1),
      );
  });

  test('that came back from a dump with numbers of transactions still to come are numbered anew and read', async () => {
    const fromTheFuture = () => t.sql`update cape_events set xid = '9000000000000000000'::xid8`;
    const { claimed } = await running();
    await settle(t.db, [done(claimed)]);
    await fromTheFuture();
    expect(await restamp(t.db)).toBe(2);
    expect(await restamp(t.db)).toBe(0);
    // Who begins to read sees to it, too.
    await fromTheFuture();
    const feed = open();
    const reader = follow((signal) => feed.all('0.0.0', signal));
    const lost = follow((signal) => feed.all('9000000000000000001.1.1', signal));
    await until(() => reader.events.length === 2, { what: 'both' });
    expect(seqs(reader.events)).toEqual([1, 2]);
    const next = await running();
    await until(() => lost.events.at(-1)?.issue_id === next.id, { what: 'what comes after a cursor of the future' });
  });
});

describe('what reading costs', () => {
  test('a notification is sent only while somebody reads, and one that is heard is faster than any poll', async () => {
    const heard: string[] = [];
    const { unlisten } = await t.sql.listen('cape_events', (payload) => heard.push(payload));
    await running();
    await t.sql`select pg_sleep(0.05)`;
    expect(heard).toEqual([]);
    const { id, held } = await running();
    const reader = follow((signal) => open().issue(id, 0, signal));
    await until(async () => (await t.sql`select from cape_readers where until > now()`).length === 1, {
      what: 'the mark',
    });
    const times: number[] = [];
    for (let n = 2; n <= 12; n++) {
      const began = performance.now();
      await print(held, 'x');
      await until(() => reader.events.length === n, { what: `event ${n}` });
      times.push(performance.now() - began);
    }
    expect(heard.length).toBeGreaterThan(0);
    expect(times.sort((a, b) => a - b)[5]).toBeLessThan(500);
    await unlisten();
  });

  test('the mark goes when the feed is closed', async () => {
    const { id } = await running();
    const feed = open();
    const reader = follow((signal) => feed.issue(id, 0, signal));
    await until(async () => (await t.sql`select from cape_readers`).length === 1, { what: 'the mark' });
    await feed.close();
    await reader.ended;
    expect(await t.sql`select from cape_readers`).toHaveLength(0);
    expect(
      await t.sql`select from pg_stat_activity where application_name = 'cape-test-feed' and datname = current_database()`,
    ).toHaveLength(0);
  });

  test('a role that may only read hears nothing and polls', async () => {
    const role = `cape_feed_reader_${process.pid}`;
    await t.sql.unsafe(`create role ${role} login password 'secret'`);
    const { connect } = await import('../../src/db/connect.js');
    const owner = connect({ url: t.ownerUrl, schema: 'public', applicationName: 'cape-test-owner' });
    await grantRights(owner, role, 'reader');
    await owner.close();
    const url = Object.assign(new URL(t.url), { username: role, password: 'secret' }).href;
    const { id, held } = await running();
    const feed = open({ databaseUrl: url });
    const reader = follow((signal) => feed.issue(id, 0, signal));
    await until(() => reader.events.length === 1, { what: 'the start' });
    await pause(50);
    await print(held, 'x');
    await until(() => reader.events.length === 2, { what: 'the output' });
    expect(await t.sql`select from cape_readers`).toHaveLength(0);
    await feed.close();
    await t.sql.unsafe(`drop owned by ${role}; drop role ${role}`);
  });

  test('a hundred readers of one thing, and of many things, share one connection', async () => {
    const { id, held } = await running();
    const feed = open();
    const readers = Array.from({ length: 50 }, () => follow((signal) => feed.issue(id, 0, signal)));
    const everything = Array.from({ length: 50 }, () => follow((signal) => feed.all('0.0.0', signal)));
    for (let n = 0; n < 5; n++) await print(held, `${n}`);
    await until(() => [...readers, ...everything].every(({ events }) => events.length === 6), { what: 'all of it' });
    // The one that proves that LISTEN hears goes again.
    await until(
      async () =>
        (
          await t.sql`select from pg_stat_activity where application_name = 'cape-test-feed' and datname = current_database()`
        ).length === 2,
    );
  });
});

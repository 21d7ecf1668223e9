import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import postgres from 'postgres';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { writersOlderThan } from '../../src/db/horizon.js';
import { settle } from '../../src/queue/settle.js';
import { clearWaiting, markWaiting } from '../../src/queue/waiting.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { until } from '../support/until.js';
import { type Actor, actor, claimAs, done, insert, requeued } from './actors.js';

let t: TestDatabase;
let ear: Awaited<ReturnType<typeof listener>>;

beforeAll(async () => {
  t = await createTestDatabase();
});

beforeEach(async () => {
  await t.sql`delete from cape_issues`;
  await nobodyWaits();
  ear = await listener();
});

/** What a failed test has left open would hold up all that follow. */
const opened: { commit(): Promise<void> }[] = [];

afterEach(async () => {
  await Promise.all(opened.splice(0).map((transaction) => transaction.commit()));
  await ear.close();
});

async function listener() {
  const heard: string[] = [];
  const sql = postgres(t.url, { max: 1, onnotice: () => {} });
  await sql.listen('cape_issues', (payload) => heard.push(payload));
  return {
    /** All notifications that were sent before this, proven by one more. */
    async settled() {
      const proof = randomUUID();
      await t.sql.notify('cape_issues', proof);
      await until(() => heard.includes(proof));
      return heard.splice(0).filter((payload) => payload !== proof);
    },
    close: () => sql.end(),
  };
}

/** And the next insert need not look whether somebody does. */
async function nobodyWaits(): Promise<void> {
  await t.sql`update cape_workers set waiting_until = null`;
  await insert(t.sql, 'looks round');
  await t.sql`delete from cape_issues`;
  expect(await mayWait()).toBe(false);
}

/** Whether an insert would look at the rows of the workers. */
async function mayWait(): Promise<boolean> {
  const [row] = await t.sql`
    select pg_sequence_last_value('cape_marks') <> pg_sequence_last_value('cape_marks_over') as may_wait`;
  return row?.may_wait;
}

/** Begins a transaction and leaves it open. */
async function open(what: (tx: postgres.TransactionSql) => PromiseLike<unknown>, mode = '') {
  let end = () => {};
  const mayEnd = new Promise<void>((resolve) => {
    end = resolve;
  });
  let begun = () => {};
  const hasBegun = new Promise<void>((resolve) => {
    begun = resolve;
  });
  let more: (tx: postgres.TransactionSql) => PromiseLike<unknown> = async () => {};
  const ended = t.sql.begin(mode, async (tx) => {
    await what(tx);
    begun();
    await mayEnd;
    await more(tx);
  });
  const transaction = {
    /** Commits, after one thing more. */
    async commit(last = more) {
      more = last;
      end();
      await ended;
    },
  };
  opened.push(transaction);
  await Promise.race([hasBegun, ended]);
  return transaction;
}

test('an insert notifies while somebody waits, and only then', async () => {
  const worker = await actor(t.db);
  await insert(t.sql, 'silent');
  expect(await ear.settled()).toEqual([]);
  await markWaiting(t.db, worker.instance);
  await insert(t.sql, 'heard', 'in the same statement');
  expect(await ear.settled()).toEqual(['']);
  await clearWaiting(t.db, worker.instance);
  await insert(t.sql, 'silent again');
  expect(await ear.settled()).toEqual([]);
  await markWaiting(t.db, worker.instance);
  await t.sql`update cape_workers set waiting_until = now() - interval '1 second'`;
  await insert(t.sql, 'the mark has expired');
  expect(await ear.settled()).toEqual([]);
});

test('rows that become claimable by an update wake; claims, settles and other edits do not', async () => {
  const worker = await actor(t.db);
  await markWaiting(t.db, worker.instance);
  const [id] = (await insert(t.sql, 'one')) as [number];
  expect(await ear.settled()).toEqual(['']);
  const [claimed] = await claimAs(t.db, worker);
  await t.sql`update cape_issues set description = 'edited' where id = ${id}`;
  await settle(t.db, [requeued(claimed!, 60_000)]);
  expect(await ear.settled()).toEqual([]);
  for (const change of [`run_at = null`, `assigned_worker_id = 'xhundred-1'`, `assigned_worker_id = null`]) {
    await t.sql.unsafe(`update cape_issues set ${change} where id = ${id}`);
    expect(await ear.settled(), change).toEqual(['']);
  }
  const [again] = await claimAs(t.db, worker);
  await settle(t.db, [requeued(again!)]);
  expect(await ear.settled(), 'released').toEqual(['']);
  await settle(
    t.db,
    (await claimAs(t.db, worker)).map((claim) => done(claim)),
  );
  expect(await ear.settled(), 'completed').toEqual([]);
  await t.sql`update cape_issues set status = 'pending' where id = ${id}`;
  expect(await ear.settled(), 'by hand').toEqual(['']);
});

test('an inserter that saw no mark and commits late is found: the writers older than the mark are waited for', async () => {
  const worker = await actor(t.db);
  await nobodyWaits();
  let commit = () => {};
  const mayCommit = new Promise<void>((resolve) => {
    commit = resolve;
  });
  let inserted = () => {};
  const hasInserted = new Promise<void>((resolve) => {
    inserted = resolve;
  });
  const inserter = t.sql.begin(async (tx) => {
    await tx`insert into cape_issues (description) values ('in silence')`;
    inserted();
    await mayCommit;
  });
  await hasInserted;
  const horizon = await markWaiting(t.db, worker.instance);
  expect(await claimAs(t.db, worker)).toEqual([]);
  expect(await writersOlderThan(t.db, horizon)).toBe(true);
  await pause(100);
  expect(await writersOlderThan(t.db, horizon)).toBe(true);
  commit();
  await inserter;
  await until(async () => !(await writersOlderThan(t.db, horizon)), { what: 'the old writer has ended' });
  expect(await claimAs(t.db, worker)).toHaveLength(1);
  expect(await ear.settled()).toEqual([]);
});

describe('an insert of a transaction that began before the mark', () => {
  test.each(['', 'isolation level repeatable read', 'isolation level serializable'])('wakes: %s', async (mode) => {
    const worker = await actor(t.db);
    const inserter = await open((tx) => tx`select count(*) from cape_workers where waiting_until is not null`, mode);
    await markWaiting(t.db, worker.instance);
    await inserter.commit((tx) => tx`insert into cape_issues (description) values ('heard')`);
    expect(await ear.settled()).toEqual(['']);
  });

  test('is silent where nobody waits, whatever its snapshot', async () => {
    await t.sql.begin(
      'isolation level repeatable read',
      (tx) => tx`insert into cape_issues (description) values ('x')`,
    );
    expect(await ear.settled()).toEqual([]);
  });

  test('is waited for from the moment that it looked for a mark, before its row is written', async () => {
    await t.sql.unsafe(`
      create function test_pause() returns trigger language plpgsql as
        'begin perform pg_advisory_xact_lock(7411); return new; end';
      create trigger test_pause before insert on cape_issues for each row execute function test_pause()`);
    try {
      const worker = await actor(t.db);
      const holder = await open((tx) => tx`select pg_advisory_xact_lock(7411)`);
      const inserted = insert(t.sql, 'in silence');
      await until(async () => (await t.sql`select from pg_locks where objid = 7411 and not granted`).length === 1);
      const horizon = await markWaiting(t.db, worker.instance);
      expect(await writersOlderThan(t.db, horizon)).toBe(true);
      await holder.commit();
      await inserted;
      await until(async () => !(await writersOlderThan(t.db, horizon)));
      expect(await claimAs(t.db, worker)).toHaveLength(1);
      expect(await ear.settled()).toEqual([]);
    } finally {
      await t.sql.unsafe('drop trigger test_pause on cape_issues; drop function test_pause()');
    }
  });

  test('is waited for where it began while the mark was being written', async () => {
    const worker = await actor(t.db);
    const holder = await open((tx) => tx`select from cape_workers where id = ${worker.id} for update`);
    const marked = markWaiting(t.db, worker.instance);
    await until(
      async () =>
        (await t.sql`select from pg_stat_activity where datname = current_database() and wait_event = 'transactionid'`)
          .length,
    );
    const inserter = await open((tx) => tx`insert into cape_issues (description) values ('in silence')`);
    await holder.commit();
    const horizon = await marked;
    expect(await writersOlderThan(t.db, horizon)).toBe(true);
    await inserter.commit();
    await until(async () => !(await writersOlderThan(t.db, horizon)));
    expect(await ear.settled()).toEqual([]);
  });
});

describe('the count of marks', () => {
  test('a program that knows nothing of it, and writes its row alone, is notified', async () => {
    const worker = await actor(t.db);
    await t.sql`update cape_workers set waiting_until = now() + interval '1 minute' where id = ${worker.id}`;
    await insert(t.sql, 'heard');
    expect(await ear.settled()).toEqual(['']);
  });

  test('a mark that is not committed is not lost by an inserter who sees nobody waiting', async () => {
    const [one, other] = [await actor(t.db), await actor(t.db)];
    for (const meanwhile of [async () => {}, () => markWaiting(t.db, other.instance)]) {
      const marking = await open(
        (tx) => tx`update cape_workers set waiting_until = now() + interval '1 minute' where id = ${one.id}`,
      );
      await meanwhile();
      await clearWaiting(t.db, other.instance);
      await insert(t.sql, 'silent');
      expect(await ear.settled()).toEqual([]);
      await marking.commit();
      await insert(t.sql, 'heard');
      expect(await ear.settled()).toEqual(['']);
      await clearWaiting(t.db, one.instance);
    }
  });

  test('a mark whose end is rolled back is not lost by an insert of the same transaction', async () => {
    const worker = await actor(t.db);
    await markWaiting(t.db, worker.instance);
    const undone = t.sql.begin(async (tx) => {
      await tx`update cape_workers set waiting_until = null`;
      await tx`insert into cape_issues (description) values ('never was')`;
      throw new Error('undo');
    });
    await expect(undone).rejects.toThrow('undo');
    await insert(t.sql, 'heard');
    expect(await ear.settled()).toEqual(['']);
  });

  test('workers that mark and clear at once, and inserts between them: no mark is lost while it stands', async () => {
    const workers = [await actor(t.db), await actor(t.db), await actor(t.db)];
    let going = true;
    let inserts = 0;
    const inserting = [1, 2, 3].map(async () => {
      for (; going; inserts += 1) await insert(t.sql, 'between');
    });
    let over = 0;
    const marking = workers.map(async ({ instance }: Actor) => {
      for (let round = 0; round < 60; round += 1) {
        const horizon = await markWaiting(t.db, instance);
        for (let look = 0; look < 4; look += 1) expect(await mayWait()).toBe(true);
        await until(async () => !(await writersOlderThan(t.db, horizon)));
        expect(await mayWait()).toBe(true);
        await clearWaiting(t.db, instance);
        await pause(Math.random() * 10);
        if (!(await mayWait())) over += 1;
      }
    });
    try {
      await Promise.all(marking);
    } finally {
      going = false;
      await Promise.all(inserting);
    }
    expect(over, 'the inserts saw that nobody waits').toBeGreaterThan(0);
    expect(inserts).toBeGreaterThan(0);
  });

  test('nobody looks at the workers any more once a mark has run out, or its worker is gone', async () => {
    const worker = await actor(t.db);
    const ends = [
      () => clearWaiting(t.db, worker.instance),
      () => t.sql`update cape_workers set waiting_until = now() - interval '1 second' where id = ${worker.id}`,
      () => t.sql`delete from cape_workers where id = ${worker.id}`,
    ];
    for (const end of ends) {
      await markWaiting(t.db, worker.instance);
      await insert(t.sql, 'heard');
      expect(await mayWait()).toBe(true);
      await end();
      await insert(t.sql, 'silent');
      expect(await mayWait()).toBe(false);
    }
    expect(await ear.settled()).toEqual(['', '', '']);
  });

  test('what a restore may leave of it loses no mark', async () => {
    const worker = await actor(t.db);
    const restored = [
      `select setval('cape_marks', 7), setval('cape_marks_over', 8)`,
      `select setval('cape_marks', 8, false), setval('cape_marks_over', 8)`,
      `select setval('cape_marks', 1, false), setval('cape_marks_over', 0, false)`,
    ];
    for (const state of restored) {
      for (const meanwhile of [async () => {}, () => insert(t.sql, 'silent')]) {
        await t.sql.unsafe(state);
        await meanwhile();
        await markWaiting(t.db, worker.instance);
        await insert(t.sql, 'heard');
        expect(await ear.settled(), state).toEqual(['']);
        await clearWaiting(t.db, worker.instance);
        await insert(t.sql, 'silent');
        expect(await ear.settled(), state).toEqual([]);
        expect(await mayWait(), state).toBe(false);
      }
    }
  });
});

test('a transaction notifies for what is left of it, whatever it took back before', async () => {
  const worker = await actor(t.db);
  await markWaiting(t.db, worker.instance);
  await t.sql.begin(async (tx) => {
    const undone = tx.savepoint(async (part) => {
      await part`insert into cape_issues (description) values ('undone')`;
      throw new Error('undo');
    });
    await expect(undone).rejects.toThrow('undo');
    await tx`insert into cape_issues (description) values ('one'), ('two')`;
    await tx`insert into cape_issues (description) values ('three')`;
  });
  expect(await ear.settled()).toEqual(['']);
  const undone = t.sql.begin(async (tx) => {
    await tx`insert into cape_issues (description) values ('undone')`;
    throw new Error('undo');
  });
  await expect(undone).rejects.toThrow('undo');
  expect(await ear.settled()).toEqual([]);
  await insert(t.sql, 'in the next transaction');
  expect(await ear.settled()).toEqual(['']);
});

/** The client as a program uses it. What each verb does to a row is tested with the verbs, in test/queue. */
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type CapeClient, createClient } from '../src/client.js';
import { settle } from '../src/queue/settle.js';
import { type Actor, actor, claimAs, done, ended } from './queue/actors.js';
import { createTestDatabase, type TestDatabase } from './support/database.js';
import { startProxy } from './support/proxy.js';
import { until } from './support/until.js';

let t: TestDatabase;
let worker: Actor;
let client: CapeClient;

beforeAll(async () => {
  t = await createTestDatabase();
  worker = await actor(t.db, 'alleycat-1');
  client = createClient({ databaseUrl: t.url });
});

afterAll(() => client?.close());

test('adds, lists, changes and deletes issues', async () => {
  const [a, b] = (await client.addMany([{ description: 'a' }, { description: 'b', priority: 3 }])) as [number, number];
  expect(await client.get(b)).toMatchObject({ id: b, priority: 3, status: 'pending' });
  expect((await client.list({ limit: 2 })).map(({ id }) => id)).toEqual([b, a]);
  const first = await client.page({ limit: 1 });
  expect(first).toMatchObject({ items: [{ id: b }], complete: true });
  expect(await client.page({ limit: 1, cursor: first.next })).toMatchObject({ items: [{ id: a }], next: null });
  await client.assign(a, 'w-2');
  expect(await client.cancel(b)).toEqual({ state: 'cancelled' });
  expect(await client.retry(b)).toBe('again');
  expect(await client.stats()).toMatchObject({ pending: 2, stranded: [{ worker_id: 'w-2', issues: 1 }] });
  expect((await client.workers()).map(({ id, paused }) => ({ id, paused }))).toEqual([
    { id: 'alleycat-1', paused: false },
  ]);
  await Promise.all([client.delete(a), client.delete(b)]);
  expect(await client.list()).toEqual([]);
});

test('names itself to the server', async () => {
  await client.list();
  const rows = await t.sql`select 1 from pg_stat_activity where application_name = 'cape-client'`;
  expect(rows).toHaveLength(1);
});

test('pauses one worker or all, remembered for workers not seen yet', async () => {
  await client.pause('unborn-1');
  await client.pause();
  expect(await client.pauses()).toEqual({ everybody: true, workers: ['unborn-1'] });
  const id = await client.add({ description: 'waits' });
  expect(await claimAs(t.db, worker)).toEqual([]);
  await client.resume();
  expect(await client.pauses()).toEqual({ everybody: false, workers: [] });
  const [claimed] = await claimAs(t.db, worker);
  expect(claimed?.issue.id).toBe(id);
  await settle(t.db, [done(claimed!)]);
});

describe('wait', () => {
  test('gives the issue as it ended, over a requeue in between', async () => {
    const id = await client.add({ description: 'to be awaited' });
    const waiting = client.wait(id);
    const [first] = await claimAs(t.db, worker);
    await settle(t.db, [ended(first!, { action: 'requeue', delayMs: 0, charge: 'failure' }, 'failed')]);
    const [second] = await claimAs(t.db, worker);
    await settle(t.db, [done(second!, { result: 'merged' })]);
    expect(await waiting).toMatchObject({ id, status: 'completed', result: 'merged', failures: 1 });
  });

  test('ends with the reason of its signal, at once', async () => {
    const id = await client.add({ description: 'never' });
    const patience = new AbortController();
    const waiting = client.wait(id, { signal: patience.signal });
    const reason = new Error('enough');
    globalThis.setTimeout(() => patience.abort(reason), 50);
    await expect(waiting).rejects.toThrow('enough');
    await client.delete(id);
  });

  test('says that an issue was deleted meanwhile', async () => {
    const id = await client.add({ description: 'gone soon' });
    const waiting = client.wait(id);
    const refusal = expect(waiting).rejects.toMatchObject({ kind: 'refused', message: /there is none/ });
    await client.delete(id);
    await refusal;
  });

  test('goes on while the database is away, and says so once', async () => {
    const proxy = await startProxy(t.url);
    const far = createClient({ databaseUrl: proxy.url(t.url) });
    const id = await far.add({ description: 'over an outage' });
    const troubles: string[] = [];
    const waiting = far.wait(id, { onTrouble: (message) => troubles.push(message) });
    proxy.mode = 'refuse';
    proxy.reset();
    await until(() => troubles.length > 0);
    await setTimeout(400); // further tries
    const [claimed] = await claimAs(t.db, worker);
    await settle(t.db, [done(claimed!)]);
    proxy.mode = 'pass';
    expect(await waiting).toMatchObject({ id, status: 'completed' });
    expect(troubles).toHaveLength(1);
    await far.close();
    await proxy.close();
  });
});

describe('what goes wrong is a CapeError', () => {
  test('bad values: usage', async () => {
    await expect(client.add({ description: ' ' })).rejects.toMatchObject({ kind: 'usage' });
    await expect(client.get(1.5)).rejects.toMatchObject({ kind: 'usage', message: /must be an id/ });
    await expect(client.assign(1, '../up')).rejects.toMatchObject({ kind: 'usage' });
    expect(() => createClient({ databaseUrl: 'mysql://x' })).toThrow(expect.objectContaining({ kind: 'config' }));
  });

  test('no database, or one without our tables: database and config, never the password', async () => {
    const nowhere = createClient({ databaseUrl: 'postgres://me:geheim@127.0.0.1:1/x' });
    const failure = await nowhere.list().catch((error) => error);
    expect(failure).toMatchObject({ kind: 'database', message: expect.stringContaining('ECONNREFUSED') });
    expect(failure.message).not.toContain('geheim');
    const empty = createClient({ databaseUrl: t.url, schema: 'not_there' });
    await expect(empty.list()).rejects.toMatchObject({ kind: 'config', message: /cape-worker migrate/ });
    await Promise.all([nowhere.close(), empty.close()]);
  });

  test('a statement that may have been done before the connection was lost is called unknown', async () => {
    const proxy = await startProxy(t.url);
    const far = createClient({ databaseUrl: proxy.url(t.url) });
    await far.list();
    proxy.mode = 'blackhole';
    const adding = far.add({ description: 'perhaps' });
    const failure = expect(adding).rejects.toMatchObject({
      kind: 'database',
      message: /whether it was done is unknown/,
    });
    await setTimeout(100);
    proxy.reset();
    await failure;
    await far.close();
    await proxy.close();
  });
});

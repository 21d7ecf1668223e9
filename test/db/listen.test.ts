import { afterEach, beforeAll, expect, test } from 'vitest';
import { type Hearing, type Listener, type ListenTimes, listen } from '../../src/db/listen.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { startProxy, type TcpProxy } from '../support/proxy.js';
import { until } from '../support/until.js';

let database: TestDatabase;
const opened: { close(): Promise<void> }[] = [];

beforeAll(async () => {
  database = await createTestDatabase({ empty: true });
});

afterEach(async () => {
  await Promise.all(opened.splice(0).map((one) => one.close()));
});

interface Ear {
  listener: Listener;
  said: string[];
  listened: number;
}

function hear(url = database.url, times?: ListenTimes): Ear {
  const ear: Ear = { said: [], listened: 0, listener: undefined as unknown as Listener };
  ear.listener = listen(
    { url, applicationName: 'listen-test' },
    'cape_issues',
    { notify: (payload) => ear.said.push(payload), listening: () => ear.listened++ },
    times,
  );
  opened.push(ear.listener);
  return ear;
}

async function proxied(): Promise<TcpProxy & { through: string }> {
  const proxy = await startProxy(database.url);
  opened.push(proxy);
  return Object.assign(proxy, { through: proxy.url(database.url) });
}

const say = (what: string) => database.sql`select pg_notify('cape_issues', ${what})`;
const backends = () =>
  database.sql`select pid from pg_stat_activity where application_name = 'listen-test' and datname = current_database()`;

test('what is said on the channel is heard, and nothing else', async () => {
  const ear = hear();
  await until(() => ear.listened === 1, { what: 'listening' });
  expect(ear.listener.hears).toBe(true);
  await database.sql`select pg_notify('other', 'x')`;
  await say('one');
  await say('');
  await until(() => ear.said.length === 2, { what: 'two notifications' });
  expect(ear.said).toEqual(['one', '']);
});

test('after its connection was ended by the server it listens again, says so, and hears', async () => {
  const ear = hear();
  await until(() => ear.listened === 1, { what: 'listening' });
  await database.sql`select pg_terminate_backend(pid) from pg_stat_activity
    where application_name = 'listen-test' and datname = current_database()`;
  await until(() => ear.listened === 2, { what: 'listening again' });
  await say('again');
  await until(() => ear.said.includes('again'), { what: 'the notification' });
});

test('without a server it does not hear, and tries until there is one', async () => {
  const proxy = await proxied();
  proxy.mode = 'refuse';
  const ear = hear(proxy.through);
  await until(() => proxy.accepted >= 3, { what: 'more than one try' });
  expect(ear.listener.hears).toBe(false);
  proxy.mode = 'pass';
  await until(() => ear.listened === 1 && ear.listener.hears, { what: 'listening' });
});

test('a connection that has died silently is noticed and replaced', async () => {
  const proxy = await proxied();
  const ear = hear(proxy.through, { everyMs: 50, deadlineMs: 1_000 });
  await until(() => ear.listener.hears, { what: 'hearing' });
  proxy.mode = 'blackhole';
  await until(() => !ear.listener.hears, { what: 'the silence to be noticed' });
  proxy.mode = 'pass';
  await until(() => ear.listened === 2 && ear.listener.hears, { what: 'hearing again' });
  await say('after the silence');
  await until(() => ear.said.includes('after the silence'), { what: 'the notification' });
});

test('hurried, it does not sit out its pause, and a dead connection is found before its next proof is due', async () => {
  const proxy = await proxied();
  proxy.mode = 'refuse';
  const ear = hear(proxy.through, { deadlineMs: 1_000 });
  // Five tries take 3 s and more; the pause after them is 4 s and more.
  await until(() => proxy.accepted >= 5, { what: 'some tries', timeoutMs: 20_000 });
  proxy.mode = 'pass';
  const asked = performance.now();
  ear.listener.hurry();
  await until(() => ear.listener.hears, { what: 'hearing' });
  expect(performance.now() - asked).toBeLessThan(2_500);
  proxy.mode = 'blackhole';
  ear.listener.hurry();
  await until(() => !ear.listener.hears, { what: 'the silence to be noticed' });
  proxy.mode = 'pass';
  await until(() => ear.listened === 2 && ear.listener.hears, { what: 'hearing again' });
});

test('behind a pooler it says that it listens, but not that it hears', async () => {
  const proxy = await proxied();
  proxy.mode = 'deaf';
  const ear = hear(proxy.through, { proofMs: 100, everyMs: 20 });
  await until(() => ear.listened === 1, { what: 'listening' });
  // Each proof takes a connection of its own.
  await until(() => proxy.accepted >= 5, { what: 'several proofs' });
  expect(ear.listener.hears).toBe(false);
  proxy.mode = 'pass';
  await until(() => ear.listener.hears, { what: 'hearing' });
});

test('a URL that leads past a pooler is proven by what is said through the other one', async () => {
  const proxy = await proxied();
  proxy.mode = 'deaf';
  const told: Hearing[] = [];
  const elsewhere = await createTestDatabase({ empty: true });
  const ears = [database.url, elsewhere.url, 'postgres://cape@127.0.0.1:1/cape'].map((url) => {
    const changed = (hearing: Hearing) => told.push(hearing);
    const handlers = { notify() {}, listening() {}, changed };
    const options = { url, speakUrl: proxy.through, applicationName: 'listen-test' };
    const ear = listen(options, 'cape_issues', handlers, { proofMs: 100, everyMs: 20 });
    opened.push(ear);
    return ear;
  });
  // The first proves itself again and again, the second stays deaf, the third comes back to nothing: told once each.
  await until(() => proxy.accepted >= 8, { what: 'several proofs' });
  expect(ears.map(({ hears }) => hears)).toEqual([true, false, false]);
  expect(told).toHaveLength(3);
  expect(told).toEqual(
    expect.arrayContaining([
      { hears: true },
      { hears: false, why: null },
      { hears: false, why: expect.stringContaining('ECONNREFUSED') },
    ]),
  );
});

test('closing leaves no connection behind, also while it is trying', async () => {
  const ear = hear();
  await until(() => ear.listened === 1, { what: 'listening' });
  await ear.listener.close();
  expect(ear.listener.hears).toBe(false);
  await until(async () => (await backends()).length === 0, { what: 'the connection to be gone' });

  const proxy = await proxied();
  proxy.mode = 'blackhole';
  const trying = hear(proxy.through);
  await until(() => proxy.accepted === 1, { what: 'a try' });
  const begin = performance.now();
  await trying.listener.close();
  expect(performance.now() - begin).toBeLessThan(8_000); // to connect may take 10 s
});

/** A reader goes on where the server is restarted, and where LISTEN hears nothing. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connect, type Database } from '../../src/db/connect.js';
import { migrate } from '../../src/db/migrate.js';
import { append } from '../../src/events/append.js';
import { openFeed } from '../../src/events/feed.js';
import { silent } from '../../src/log.js';
import { actor, claimAs } from '../queue/actors.js';
import { DATABASE, type Machine, PostgresServer, prepareMachine } from '../support/postgres-server.js';
import { until } from '../support/until.js';
import { follow, seqs } from './following.js';

let machine: Machine;
let server: PostgresServer;
let db: Database;

beforeAll(async () => {
  machine = await prepareMachine();
  server = await PostgresServer.at(machine, 'main');
  await server.initialise();
  await server.start();
  await server.ask((sql) => sql.unsafe(`create database ${DATABASE}`), 'postgres');
  await migrate({ url: server.url(), schema: 'public' });
  db = connect({ url: server.url(), schema: 'public', applicationName: 'cape-test' });
});

afterAll(async () => {
  await db.close();
  await machine.remove();
});

test('events of before, during and after a restart of the server are given once', async () => {
  const worker = await actor(db, 'alleycat-1');
  await db.query(`insert into cape_issues (description) values ('Fix the login bug')`);
  const [claimed] = await claimAs(db, worker);
  const held = { id: claimed!.issue.id, token: claimed!.token };
  const print = (text: string) =>
    until(async () => (await append(db, [{ ...held, kind: 'output', data: { offset: 0, text } }]))[0]?.state === 'ok', {
      what: `"${text}" to be written`,
    });
  const feed = openFeed({ databaseUrl: server.url(), schema: 'public', applicationName: 'feed', log: silent });
  const all = follow((signal) => feed.all('0.0.0', signal));
  const one = follow((signal) => feed.issue(held.id, 0, signal));
  await print('before');
  await until(() => one.events.length === 2 && all.events.length === 2, { what: 'what was before' });
  await server.stop('immediate');
  await server.start();
  await print('after');
  await until(() => one.events.length === 3 && all.events.length === 3, { what: 'what came after' });
  await print('later');
  await until(() => one.events.length === 4 && all.events.length === 4, { what: 'what came later' });
  expect(seqs(one.events)).toEqual([1, 2, 3, 4]);
  expect(seqs(all.events)).toEqual([1, 2, 3, 4]);
  await feed.close();
  await Promise.all([one.ended, all.ended]);
});

test('where LISTEN leads nowhere, events come by polling', async () => {
  const nowhere = 'postgres://cape@127.0.0.1:1/none';
  const feed = openFeed({
    databaseUrl: server.url(),
    listenUrl: nowhere,
    schema: 'public',
    applicationName: 'feed',
    log: silent,
  });
  const reader = follow((signal) => feed.all(null, signal));
  await until(async () => {
    await db.query(`insert into cape_issues (description, status) values ('by hand', 'pending')`);
    await db.query(`update cape_issues set status = 'completed' where status = 'pending'`);
    return reader.events.length > 0;
  });
  expect(reader.events[0]).toMatchObject({ kind: 'by_hand', data: { from: 'pending', to: 'completed' } });
  await feed.close();
});

import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import postgres from 'postgres';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { packagedNative } from '../../src/db/embedded/binaries.js';
import {
  type Embedded,
  embeddedStatus,
  forgetOldPrograms,
  markService,
  prepareEmbedded,
  startEmbedded,
  stopEmbedded,
} from '../../src/db/embedded/index.js';
import { cleanUp, scratchFolder, useEmbedded } from '../support/embedded-user.js';
import { until } from '../support/until.js';

/** One cluster for the file, since each costs a second: behind a space and a path too long for a socket (107 bytes). */
let dataDir: string;
const entered: Embedded[] = [];

beforeAll(async () => {
  dataDir = join(await scratchFolder(), 'a folder', 'x'.repeat(120));
});

afterEach(async () => {
  await Promise.all(entered.splice(0).map((server) => server.release()));
  await stopEmbedded({ dataDir });
});

afterAll(() => cleanUp(dataDir));

async function enter(): Promise<Embedded> {
  const server = await startEmbedded({ dataDir });
  entered.push(server);
  return server;
}

async function ask(url: string, question: string): Promise<unknown> {
  const sql = postgres(url, { max: 1 });
  try {
    const [row] = await sql.unsafe(question);
    return Object.values(row ?? {})[0];
  } finally {
    await sql.end();
  }
}

const state = async () => (await embeddedStatus({ dataDir })).state;

test('of two that start at once on a new folder both get the same server', async () => {
  expect(await state()).toBe('absent');
  const [one, other] = await Promise.all([enter(), enter()]);
  expect(one.url).toBe(other.url);
  expect(await ask(one.url, 'select current_database()')).toBe('cape');
  expect(await ask(one.url, "select current_setting('server_version_num')::int >= 130000")).toBe(true);
});

test('of three processes that start at once all get the same server', async () => {
  const users = await Promise.all([1, 2, 3].map(() => useEmbedded(dataDir)));
  expect(new Set(users.map(({ said }) => said.pid)).size).toBe(1);
  await Promise.all(users.map((user) => user.leave()));
  expect(await state()).toBe('stopped');
});

test('the URL serves psql', async () => {
  const { url } = await enter();
  try {
    const { stdout } = await promisify(execFile)('psql', [url, '-Atc', 'select 6 * 7']);
    expect(stdout.trim()).toBe('42');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    console.log('not checked with psql: there is none on this machine');
  }
});

test('committed rows and the URL outlive a stop', async () => {
  const first = await enter();
  await ask(first.url, 'create table kept as select 7 as number');
  await first.release();
  const second = await enter();
  expect(second.url).toBe(first.url);
  expect(await ask(second.url, 'select number from kept')).toBe(7);
});

test('the last one to leave stops the server', async () => {
  const one = await enter();
  const other = await useEmbedded(dataDir);
  await one.release();
  expect(await state()).toBe('running');
  await other.leave();
  expect(await state()).toBe('stopped');
});

test('of two that leave at once one stops the server', async () => {
  for (let round = 0; round < 5; round++) {
    const [one, other] = [await enter(), await enter()];
    await Promise.all([one.release(), other.release()]);
    expect(await state()).toBe('stopped');
  }
});

test('a process that was killed counts no more', async () => {
  const mine = await enter();
  const other = await useEmbedded(dataDir);
  other.child.kill('SIGKILL');
  await once(other.child, 'exit');
  await until(async () => (await members(mine.url)) === 1, { what: 'its connection to be gone' });
  await mine.release();
  expect(await state()).toBe('stopped');
});

test('a client that is no member keeps the server up', async () => {
  const server = await enter();
  const sql = postgres(server.url, { max: 1 });
  await sql`select 1`;
  expect((await embeddedStatus({ dataDir })).clients).toBe(1);
  await server.release();
  expect(await sql`select 1 as still`).toEqual([{ still: 1 }]);
  await sql.end();
});

test('a newcomer that meets a server on its way out gets a new one', async () => {
  for (let round = 0; round < 3; round++) {
    const leaver = await enter();
    const [, newcomer] = await Promise.all([leaver.release(), enter()]);
    expect(await ask(newcomer.url, 'select 1')).toBe(1);
    await newcomer.release();
  }
});

test('a server that was stopped under its users is nothing to leave', async () => {
  const server = await enter();
  expect(await stopEmbedded({ dataDir })).toBe('stopped');
  expect(await stopEmbedded({ dataDir })).toBe('not running');
  await server.release();
});

test('a server that is to stay outlives its users, its successor does not', async () => {
  await (await enter()).leaveRunning();
  await (await enter()).release();
  expect(await state()).toBe('running');
  await stopEmbedded({ dataDir });
  await (await enter()).release();
  expect(await state()).toBe('stopped');
});

test('a server that a service runs is started and stopped there, and used by all', async () => {
  const service = { start: 'systemctl start it', stop: 'systemctl stop it' };
  await markService(dataDir, service);
  await expect(enter()).rejects.toThrow(/is not running, and is run by a service: systemctl start it$/);
  await markService(dataDir, null);
  const server = await enter();
  await markService(dataDir, service);
  await server.release();
  expect(await state()).toBe('running');
  await expect(stopEmbedded({ dataDir })).rejects.toThrow(/is run by a service: systemctl stop it$/);
  await markService(dataDir, null);
  expect(await stopEmbedded({ dataDir })).toBe('stopped');
});

test('made ready for a service, the programs are a copy beside the data, the port stays and nothing runs', async () => {
  const first = await prepareEmbedded({ dataDir, owner: null });
  expect(await state()).toBe('stopped');
  if (packagedNative() !== null) expect(first.pgCtl).toContain(`${dataDir}/postgres/native-`);
  const server = await enter();
  expect(server.url).toBe(first.url);
  expect(await prepareEmbedded({ dataDir, owner: null })).toEqual(first);
  await forgetOldPrograms(dataDir, first);
  expect(existsSync(first.pgCtl)).toBe(true);
  await server.release();
});

test('another port is taken where somebody sits on the old one', async () => {
  const first = await enter();
  await first.release();
  const squatter = createServer().listen(Number(new URL(first.url).port), '127.0.0.1');
  await once(squatter, 'listening');
  const second = await enter();
  squatter.close();
  expect(second.url).not.toBe(first.url);
  expect(await ask(second.url, 'select 1')).toBe(1);
});

test('within an attempt a running server is used and none is started', async () => {
  await expect(startEmbedded({ dataDir, insideAttempt: true })).rejects.toThrow(/not started from within an attempt/);
  expect(await state()).toBe('stopped');
  const server = await enter();
  const attached = await startEmbedded({ dataDir, insideAttempt: true });
  expect(attached.url).toBe(server.url);
  await attached.release();
});

test('the server shares neither the terminal nor the environment of who started it', async () => {
  if (!existsSync('/proc/self/environ')) return console.log('not checked: no /proc here');
  const user = await useEmbedded(dataDir, { env: { CAPE_ISSUE_ID: '7', PGPORT: '1' } });
  const session = async (pid: number) => (await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ')[1]?.split(' ')[3];
  const pid = user.said.pid ?? 0;
  expect(await session(pid)).toBe(String(pid));
  const names = (await readFile(`/proc/${pid}/environ`, 'utf8')).split('\0').map((entry) => entry.split('=')[0]);
  expect(names).not.toContain('CAPE_ISSUE_ID');
  expect(names).not.toContain('PGPORT');
  await user.leave();
});

async function members(url: string): Promise<unknown> {
  return ask(url, "select count(*)::int from pg_stat_activity where application_name = 'cape-worker embedded'");
}

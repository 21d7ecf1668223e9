import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chown, mkdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import postgres from 'postgres';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { embeddedStatus, startEmbedded, stopEmbedded } from '../../src/db/embedded/index.js';
import { inspect, isAlive } from '../../src/db/embedded/postmaster.js';
import { cleanUp, scratchFolder } from '../support/embedded-user.js';
import { until } from '../support/until.js';

let dataDir: string;
let cluster: string;
/** A pid file as a killed server leaves it. */
let leftBehind: string;
const children: ChildProcess[] = [];

beforeAll(async () => {
  dataDir = join(await scratchFolder(), 'data');
  cluster = join(dataDir, 'postgres', 'data');
  const server = await startEmbedded({ dataDir });
  leftBehind = await readFile(join(cluster, 'postmaster.pid'), 'utf8');
  await server.release();
});

afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  await stopEmbedded({ dataDir });
});

afterAll(() => cleanUp(dataDir));

/** Starts the server on the cluster as it is, and leaves. */
async function startWorks(): Promise<void> {
  const server = await startEmbedded({ dataDir });
  const sql = postgres(server.url, { max: 1 });
  expect(await sql`select 1 as one`).toEqual([{ one: 1 }]);
  await sql.end();
  await server.release();
  expect((await embeddedStatus({ dataDir })).state).toBe('stopped');
}

/** A shell under the cluster's uid, since Postgres itself sees through the pid of another user's process. */
async function shell(script: string): Promise<{ child: ChildProcess; line: string }> {
  const { uid, gid } = await stat(cluster);
  const child = spawn('sh', ['-c', script], { stdio: ['ignore', 'pipe', 'inherit'], uid, gid, cwd: '/' });
  children.push(child);
  const [line] = await once(createInterface(child.stdout!), 'line');
  return { child, line };
}

async function leavePidFile(pid: number): Promise<void> {
  const { uid, gid } = await stat(cluster);
  const path = join(cluster, 'postmaster.pid');
  await writeFile(path, leftBehind.replace(/^\d+/, String(pid)), { mode: 0o600 });
  await chown(path, uid, gid);
}

test('a server that was killed is started again, with what was committed', async () => {
  const server = await startEmbedded({ dataDir });
  const sql = postgres(server.url, { max: 1, onnotice: () => {} });
  await sql`create table survivor as select 3 as number`;
  const { pid } = await embeddedStatus({ dataDir });
  process.kill(pid!, 'SIGKILL');
  await until(() => !isAlive(pid!), { what: 'the server to be reaped' });
  expect((await embeddedStatus({ dataDir })).state).toBe('stopped');
  await sql.end({ timeout: 0 });
  await server.release();

  const again = await startEmbedded({ dataDir });
  const other = postgres(again.url, { max: 1 });
  expect(await other`select number from survivor`).toEqual([{ number: 3 }]);
  await other.end();
  await again.release();
});

test('the pid file of a process that is gone is no obstacle', async () => {
  const { child, line } = await shell('echo $$');
  if (child.exitCode === null) await once(child, 'exit');
  await leavePidFile(Number(line));
  await startWorks();
});

test('the pid file of a zombie is no obstacle', async () => {
  // A zombie keeps its name. The shell becomes a sleep, which never asks for the child that it did not start.
  const postgres = join(await scratchFolder(), 'postgres');
  await symlink('/bin/sleep', postgres);
  const { line } = await shell(`${postgres} 0.3 & echo $!; exec sleep 60`);
  const pid = Number(line);
  if (process.platform === 'linux') {
    await until(async () => / Z /.test(await readFile(`/proc/${pid}/stat`, 'utf8')), { what: 'the zombie' });
  }
  expect(isAlive(pid)).toBe(true);
  await leavePidFile(pid);
  expect((await inspect(cluster)).state).toBe('stopped');
  await startWorks();
});

test("the pid of a dead server, now another program's, is no obstacle and is left alone", async () => {
  const { child, line } = await shell('echo $$; exec sleep 60');
  await leavePidFile(Number(line));
  expect(await stopEmbedded({ dataDir })).toBe('not running');
  await startWorks();
  expect(child.exitCode ?? child.signalCode).toBe(null);
});

test('a half-made cluster of a killed process is cleared away', async () => {
  const { child, line } = await shell('echo $$');
  if (child.exitCode === null) await once(child, 'exit');
  const half = `${cluster}.new-${line}-abcdef`;
  const fresh = join(await scratchFolder(), 'data');
  await mkdir(join(fresh, 'postgres'), { recursive: true, mode: 0o755 });
  const there = half.replace(dataDir, fresh);
  await mkdir(there);
  const server = await startEmbedded({ dataDir: fresh });
  await server.release();
  await expect(stat(there)).rejects.toThrow(/ENOENT/);
});

test('a broken cluster is named, with the reason that Postgres gave', async () => {
  const control = join(cluster, 'global', 'pg_control');
  const bytes = await readFile(control);
  await writeFile(control, bytes.subarray(0, 10));
  await expect(startEmbedded({ dataDir })).rejects.toThrow(/postgres\/data does not start: .*pg_control/);
  await writeFile(control, bytes);
});

test('a lost password file is named', async () => {
  const path = join(dataDir, 'postgres', 'password');
  const password = await readFile(path);
  await rm(path);
  await expect(startEmbedded({ dataDir })).rejects.toThrow(/password is gone.*restore it/);
  await writeFile(path, 'wrong\n', { mode: 0o600 });
  await expect(startEmbedded({ dataDir })).rejects.toThrow(/refuses the login with the password in .*password/);
  await writeFile(path, password);
});

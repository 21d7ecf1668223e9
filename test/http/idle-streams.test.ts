/** A thousand pages that are left open: what they cost, and that all of them hear. */
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { afterAll, expect, test } from 'vitest';
import { ApiClient } from '../../src/http/api-client.js';
import { type Running, start } from '../cli/run-cli.js';
import { createTestDatabase } from '../support/database.js';
import { until } from '../support/until.js';
import { WRITE } from './api.js';

const READERS = 1000;
/** Measured 51 on Node 20 with what was not collected yet; the kernel's side of the sockets is not counted. */
const MOST_KIB_EACH = 120;

let server: Running | undefined;
afterAll(() => server?.process.kill('SIGKILL'));

function residentKib(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}

interface Reader {
  readonly socket: Socket;
  text: string;
}

function read(port: number): Reader {
  const socket = connect(port, '127.0.0.1');
  const reader = { socket, text: '' };
  socket.setEncoding('utf8').on('data', (chunk: string) => {
    reader.text += chunk;
  });
  socket.on('error', () => {});
  socket.write(`GET /api/events HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${WRITE}\r\n\r\n`);
  return reader;
}

const isLinux = process.platform === 'linux';

test.skipIf(!isLinux)('a thousand idle readers cost little, and each hears of the next event', async ({ annotate }) => {
  const database = await createTestDatabase();
  const env = { DATABASE_URL: database.url, CAPE_API_TOKENS: `write:${WRITE}` };
  const running = start(['serve', '--port', '0'], { env });
  server = running;
  const url = await until(() => /http: (http:\S+)/.exec(running.output().stdout)?.[1]);
  const port = Number(new URL(url).port);
  const pid = running.process.pid as number;
  const first = Array.from({ length: 50 }, () => read(port));
  await until(() => first.every(({ text }) => text.includes(': open')));
  const before = residentKib(pid);
  const readers = Array.from({ length: READERS }, () => read(port));
  await until(() => readers.every(({ text }) => text.includes(': open')));
  const after = residentKib(pid);
  const each = (after - before) / READERS;
  await annotate(`${before} KiB before, ${after} KiB with ${READERS} readers: ${each.toFixed(1)} KiB each`);
  const client = new ApiClient({ url, token: WRITE });
  const [id] = (await client.create([{ description: 'x' }])) as [number];
  const began = performance.now();
  await client.cancel(id);
  await until(() => readers.every(({ text }) => text.includes('event: cancelled')));
  await annotate(`all heard within ${Math.round(performance.now() - began)} ms`);
  for (const { socket } of [...first, ...readers]) socket.destroy();
  expect(each).toBeLessThan(MOST_KIB_EACH);
});

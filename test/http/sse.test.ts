/** Streams without a database: readers that leave too early, and readers that never read. */
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import type { FastifyReply } from 'fastify';
import { afterEach, expect, test } from 'vitest';
import { type Stream, Streams } from '../../src/http/sse.js';
import { until } from '../support/until.js';

const ends: (() => void)[] = [];
afterEach(() => {
  for (const end of ends.splice(0)) end();
});

/** A request that is under way, and both its ends. */
async function request(): Promise<{ socket: Socket; raw: ServerResponse }> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1').on('error', () => {});
  socket.write('GET / HTTP/1.1\r\nhost: localhost\r\n\r\n');
  const [, raw] = (await once(server, 'request')) as [unknown, ServerResponse];
  ends.push(() => {
    socket.destroy();
    server.closeAllConnections();
    server.close();
  });
  return { socket, raw };
}

function open(streams: Streams, raw: ServerResponse): Stream {
  ends.push(() => streams.close());
  return streams.open({ raw, hijack: () => {}, getHeaders: () => ({}) } as unknown as FastifyReply, () => true);
}

test('a reader that left before its stream began leaves nothing behind', async () => {
  const streams = new Streams();
  const { socket, raw } = await request();
  socket.destroy();
  await until(() => raw.destroyed);
  const stream = open(streams, raw);
  expect(stream.signal.aborted).toBe(true);
  expect(streams.count).toBe(0);
  await stream.send('event: x\n\n');
  stream.end();
});

test('a stream that ends does not wait for a reader that does not read', async () => {
  const streams = new Streams({ stalledMs: 200 });
  const { socket, raw } = await request();
  socket.pause();
  const stream = open(streams, raw);
  // More than the buffers of both sockets hold.
  void stream.send('x'.repeat(32 * 1024 * 1024));
  stream.end();
  expect(raw.destroyed).toBe(false);
  await until(() => raw.destroyed, { what: 'the connection to be cut' });
});

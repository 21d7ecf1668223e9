import { PassThrough } from 'node:stream';
import { expect, it } from 'vitest';
import { type FromKeeper, listen, say } from '../../src/execution/protocol.js';

it.each([1, 2, 3, 7, 64, 100_000])('messages arrive whole and in order in chunks of %i bytes', async (size) => {
  const sent: FromKeeper[] = [
    { t: 'pong' },
    { t: 'started', id: 'é🦊\n\u2028', pid: 1 },
    { t: 'started', id: '', pid: 2 },
  ];
  const written = new PassThrough();
  for (const message of sent) say(written, message);
  const bytes = written.read() as Buffer;

  const received: FromKeeper[] = [];
  const stream = new PassThrough();
  listen<FromKeeper>(stream, (message) => received.push(message));
  for (let at = 0; at < bytes.length; at += size) {
    stream.write(bytes.subarray(at, at + size));
    await new Promise(setImmediate); // a chunk of its own, not one with the next
  }
  expect(received).toEqual(sent);
});

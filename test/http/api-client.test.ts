/** The client against servers that are slow, or that leave in the middle. */
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { createRemoteClient } from '../../src/cli/remote.js';
import { ask } from '../../src/dashboard/api/request.js';
import { ApiClient } from '../../src/http/api-client.js';

const ends: (() => void)[] = [];
afterEach(() => {
  for (const end of ends.splice(0)) end();
});

async function serverThat(answers: (response: ServerResponse) => void): Promise<string> {
  const server = createServer((_request, response) => answers(response)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  ends.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const HEAD = { 'content-type': 'application/json' };

test('a body may take longer than an answer to begin', async () => {
  const url = await serverThat((response) => {
    response.writeHead(200, HEAD).write('{"role":');
    setTimeout(() => response.end('"read","version":"1"}'), 700);
  });
  expect(await new ApiClient({ url, timeoutMs: 300 }).me()).toEqual({ role: 'read', version: '1' });
});

test('an answer that does not begin is given up', async () => {
  const url = await serverThat(() => {});
  const asked = new ApiClient({ url, timeoutMs: 100 }).me();
  await expect(asked).rejects.toMatchObject({
    name: 'ApiError',
    status: 0,
    message: expect.stringMatching(/no answer.*within 100 ms/),
  });
});

test.each(['json', 'text'])('a body that breaks off is an error of the API (%s)', async (kind) => {
  const url = await serverThat((response) => {
    response.writeHead(200, { ...HEAD, 'content-length': 100 }).write('{"role":', () => response.destroy());
  });
  const client = new ApiClient({ url });
  const asked: Promise<unknown> = kind === 'json' ? client.me() : client.output(1);
  await expect(asked).rejects.toMatchObject({
    name: 'ApiError',
    status: 0,
    message: expect.stringMatching(/broke off/),
  });
});

test('the page says so too', async () => {
  const cut = await serverThat((response) => {
    response.writeHead(200, { ...HEAD, 'content-length': 100 }).write('{"role":', () => response.destroy());
  });
  await expect(ask(`${cut}/api/me`)).rejects.toMatchObject({ status: 0, message: "The server's answer broke off." });
  const strange = await serverThat((response) => response.writeHead(200, HEAD).end('<html>'));
  await expect(ask(`${strange}/api/me`)).rejects.toMatchObject({ message: "The server's answer is no JSON." });
});

test.each(['http://name@localhost', 'http://:secret-of-mine@localhost', 'http://a:secret-of-mine@localhost'])(
  'an address with a secret in it is refused, and not shown: %s',
  (url) => {
    let said = '';
    try {
      createRemoteClient({ url, token: undefined });
    } catch (error) {
      said = String(error);
    }
    expect(said).toContain('without a name or password');
    expect(said).not.toContain('secret-of-mine');
  },
);

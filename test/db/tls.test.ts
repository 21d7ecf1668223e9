import { readFileSync } from 'node:fs';
import { connect as connectTcp, createServer, type Server } from 'node:net';
import { createSecureContext, TLSSocket } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { connect, type Database } from '../../src/db/connect.js';
import { failureOf } from '../../src/db/failure.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';

/** A certificate for `localhost`, by an authority of our own; good for a hundred years. */
const file = (name: string) => fileURLToPath(new URL(`../fixtures/tls/${name}`, import.meta.url));
const CA = `sslrootcert=${file('ca.pem')}`;

let database: TestDatabase;
let server: Server;
/** Connections that came encrypted. */
let encrypted = 0;
const opened: Database[] = [];

beforeAll(async () => {
  database = await createTestDatabase({ empty: true });
  server = startTlsEnd(new URL(database.url));
  await new Promise<void>((resolve) => server.listen(0, resolve));
});

afterEach(async () => {
  encrypted = 0;
  await Promise.all(opened.splice(0).map((db) => db.close()));
});

afterAll(() => new Promise((resolve) => server.close(resolve)));

/** Speaks the server's side of TLS in front of the test server, which may have none of its own. */
function startTlsEnd(target: URL): Server {
  const secureContext = createSecureContext({
    key: readFileSync(file('server.key')),
    cert: readFileSync(file('server.pem')),
  });
  return createServer((client) => {
    client.on('error', () => {});
    client.once('data', (request) => {
      if (request.readInt32BE(4) !== 80877103) throw new Error('not a request for TLS');
      client.write('S');
      const plain = new TLSSocket(client, { isServer: true, secureContext });
      plain.on('error', () => {});
      plain.once('secure', () => encrypted++);
      const upstream = connectTcp(Number(target.port || 5432), target.hostname);
      upstream.on('error', () => plain.destroy());
      plain.pipe(upstream).pipe(plain);
    });
  });
}

function open(parameters: string, host = 'localhost'): Database {
  const url = new URL(database.url);
  url.hostname = host;
  url.port = String((server.address() as { port: number }).port);
  url.search = parameters;
  const db = connect({ url: url.href, schema: 'public', applicationName: 'tls-test' });
  opened.push(db);
  return db;
}

/** "connected", or why it was refused. */
async function ask(parameters: string, host?: string): Promise<string> {
  const db = open(parameters, host);
  try {
    await db.query('select 1');
    return 'connected';
  } catch (error) {
    const { kind, code, unclear, message } = failureOf(error);
    expect({ kind, code, unclear }).toEqual({ kind: 'refused', code: 'TLS', unclear: false });
    return message;
  }
}

test.each([
  ['prefer', 'sslmode=prefer'],
  ['require', 'sslmode=require'],
  ['verify-ca', `sslmode=verify-ca&${CA}`],
  ['verify-full', `sslmode=verify-full&${CA}`],
])('sslmode=%s connects encrypted', async (_, parameters) => {
  expect(await ask(parameters)).toBe('connected');
  expect(encrypted).toBe(1);
});

test('a certificate by an unknown authority is refused where it is to be verified', async () => {
  expect(await ask('sslmode=verify-ca')).toMatch(/^localhost: .*certificate.* \(sslmode=verify-ca\)$/);
});

test('a root certificate makes `require` verify too, as in psql', async () => {
  expect(await ask(`sslmode=require&sslrootcert=${file('server.pem')}`)).toContain('certificate');
});

test('the name in the certificate counts for verify-full alone', async () => {
  expect(await ask(`sslmode=verify-ca&${CA}`, '127.0.0.1')).toBe('connected');
  expect(await ask(`sslmode=verify-full&${CA}`, '127.0.0.1')).toContain("does not match certificate's altnames");
});

test('a certificate file that is not there is named', async () => {
  await expect(open('sslmode=require&sslrootcert=/no/ca.pem').query('select 1')).rejects.toMatchObject({
    kind: 'config',
    message: expect.stringContaining(`sslrootcert "/no/ca.pem" can't be read: ENOENT`),
  });
});

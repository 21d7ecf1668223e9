/**
 * A way to the database that counts the statements on it. The server's own counters tell transactions, among them those of
 * autovacuum, and `log_statement` writes its log while one measures.
 */
import { connect, createServer } from 'node:net';

/** Frontend messages that execute something: Query, and Execute of the extended protocol. */
const STATEMENTS = new Set(['Q', 'E']);

/** @param url of a server on TCP, without TLS */
export async function countingProxy(url) {
  const { hostname, port } = new URL(url);
  const count = { statements: 0 };
  const server = createServer((client) => {
    const upstream = connect(Number(port || 5432), hostname);
    const watch = statementCounter(count);
    client.on('data', watch);
    client.pipe(upstream).pipe(client);
    for (const socket of [client, upstream]) socket.on('error', () => socket.destroy());
    client.on('close', () => upstream.destroy());
    upstream.on('close', () => client.destroy());
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const through = new URL(url);
  through.hostname = '127.0.0.1';
  through.port = String(server.address().port);
  return { url: through.href, count, close: () => server.close() };
}

/** The first message has no type, only a length. */
function statementCounter(count) {
  let rest = Buffer.alloc(0);
  let header = 0;
  return (bytes) => {
    rest = Buffer.concat([rest, bytes]);
    for (;;) {
      if (rest.length < header + 4) return;
      const length = header + rest.readInt32BE(header);
      if (rest.length < length) return;
      if (header === 1 && STATEMENTS.has(String.fromCharCode(rest[0]))) count.statements += 1;
      rest = rest.subarray(length);
      header = 1;
    }
  };
}

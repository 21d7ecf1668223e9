/** What answers like a Postgres that refuses every login, with a SQLSTATE of the test's choice. */
import { once } from 'node:events';
import { createServer } from 'node:net';

export interface RefusingServer {
  readonly url: string;
  /** Logins refused so far. */
  readonly refused: number;
  close(): Promise<void>;
}

export async function startRefusing(code: string, message: string): Promise<RefusingServer> {
  let refused = 0;
  const server = createServer((socket) => {
    socket.on('error', () => {});
    // The start-up message comes in one piece on this machine.
    socket.once('data', () => {
      refused += 1;
      socket.end(errorResponse(code, message));
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  return {
    url: `postgres://cape:secret@127.0.0.1:${port}/cape`,
    get refused() {
      return refused;
    },
    async close() {
      server.close();
      await once(server, 'close');
    },
  };
}

/** `E`, the length, then fields of a letter and a text, each ended by a NUL, and a NUL at the end. */
function errorResponse(code: string, message: string): Buffer {
  const fields = Buffer.from(`SFATAL\0VFATAL\0C${code}\0M${message}\0\0`);
  const head = Buffer.alloc(5);
  head.write('E');
  head.writeInt32BE(fields.length + 4, 1);
  return Buffer.concat([head, fields]);
}

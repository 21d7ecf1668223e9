/** A TCP proxy in front of the database that can do what networks do. */
import { connect, createServer, type Server, type Socket } from 'node:net';

/**
 * - `pass`: hand everything on
 * - `refuse`: accept and close at once, new connections only
 * - `blackhole`: accept and swallow, both ways, in silence: a half-open connection
 * - `stall`: hold everything back, both ways, and hand it on when the mode changes, also for a side that has gone since:
 *   what a network does that comes back while old packets are still sent again
 * - `cut`: hand on what the client says, close instead of handing on the reply
 * - `deaf`: hand on everything but notifications that come by themselves, as a transaction-mode pooler does
 */
export type ProxyMode = 'pass' | 'refuse' | 'blackhole' | 'stall' | 'cut' | 'deaf';

const NOTIFICATION = 'A'.charCodeAt(0);

export interface TcpProxy {
  readonly port: number;
  /** Takes effect at once, also for connections that exist. */
  mode: ProxyMode;
  /** Milliseconds by which each reply is delayed; notifications that come by themselves are not. */
  delayMs: number;
  /** Connections accepted so far. */
  readonly accepted: number;
  /** Connections open now. */
  readonly open: number;
  /** The database URL through the proxy. */
  url(of: string): string;
  /** Resets every open connection. */
  reset(): void;
  close(): Promise<void>;
}

/** One direction of one connection: bytes leave in the order in which they came, whatever delays each. */
class Lane {
  readonly #to: Socket;
  #queue: { bytes: Buffer; at: number }[] = [];
  #ended = false;
  held = false;

  constructor(to: Socket) {
    this.#to = to;
  }

  push(bytes: Buffer, delayMs: number): void {
    const at = performance.now() + delayMs;
    this.#queue.push({ bytes, at });
    if (delayMs > 0) setTimeout(() => this.flush(), delayMs + 1);
    else this.flush();
  }

  /** Nothing more comes: the other side hears of it after what is still on its way. */
  end(): void {
    this.#ended = true;
    this.flush();
  }

  flush(): void {
    if (this.held) return;
    const time = performance.now();
    while (this.#queue[0] && this.#queue[0].at <= time) this.#to.write(this.#queue.shift()!.bytes);
    if (!this.#ended || this.#queue.length > 0) return;
    this.#ended = false; // once: each call listens to the socket anew
    this.#to.destroySoon();
  }
}

/** Starts a proxy on a free port of 127.0.0.1 in front of the server that `target` (a database URL) names. */
export async function startProxy(target: string): Promise<TcpProxy> {
  const { hostname, port, searchParams } = new URL(target);
  const folder = searchParams.get('host');
  const sockets = new Set<Socket>();
  const lanes = new Set<Lane>();
  let accepted = 0;
  let mode: ProxyMode = 'pass';

  const server: Server = createServer((client) => {
    accepted++;
    if (mode === 'refuse') {
      client.destroy();
      return;
    }
    const upstream = folder
      ? connect(`${folder}/.s.PGSQL.${searchParams.get('port') ?? (port || 5432)}`)
      : connect(Number(port || 5432), hostname);
    const up = new Lane(upstream);
    const down = new Lane(client);
    for (const [socket, lane] of [
      [client, up],
      [upstream, down],
    ] as const) {
      sockets.add(socket);
      lanes.add(lane);
      lane.held = mode === 'stall';
      socket.on('error', () => {});
      socket.on('close', () => {
        sockets.delete(socket);
        if (sockets.has(client) || sockets.has(upstream)) {
          // A black hole tells neither side that the other has gone.
          if (mode !== 'blackhole') lane.end();
        } else for (const each of [up, down]) lanes.delete(each);
      });
    }
    client.on('data', (bytes) => {
      if (mode !== 'blackhole') up.push(bytes, 0);
    });
    upstream.on('data', (bytes) => {
      if (mode === 'cut') client.destroy();
      else if (mode === 'deaf' && bytes[0] === NOTIFICATION) return;
      else if (mode !== 'blackhole') down.push(bytes, bytes[0] === NOTIFICATION ? 0 : proxy.delayMs);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port: ownPort } = server.address() as { port: number };

  const proxy = {
    port: ownPort,
    get mode() {
      return mode;
    },
    set mode(next: ProxyMode) {
      mode = next;
      for (const lane of lanes) {
        lane.held = next === 'stall';
        lane.flush();
      }
    },
    delayMs: 0,
    get accepted() {
      return accepted;
    },
    get open() {
      return sockets.size;
    },
    url(of: string) {
      const url = new URL(of);
      url.host = `127.0.0.1:${ownPort}`;
      url.searchParams.delete('host');
      url.searchParams.delete('port');
      return url.href;
    },
    reset() {
      for (const socket of sockets) socket.resetAndDestroy();
    },
    async close() {
      proxy.mode = 'pass';
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
  return proxy;
}

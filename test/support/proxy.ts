/** A TCP proxy in front of the database that can do what networks do. */
import { connect, createServer, type Server, type Socket } from 'node:net';

/**
 * - `pass`: hand everything on
 * - `refuse`: accept and close at once, new connections only
 * - `blackhole`: accept and swallow, both ways, in silence: a half-open connection
 * - `cut`: hand on what the client says, close instead of handing on the reply
 * - `deaf`: hand on everything but notifications that come by themselves, as a transaction-mode pooler does
 */
export type ProxyMode = 'pass' | 'refuse' | 'blackhole' | 'cut' | 'deaf';

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

/** Starts a proxy on a free port of 127.0.0.1 in front of the server that `target` (a database URL) names. */
export async function startProxy(target: string): Promise<TcpProxy> {
  const { hostname, port, searchParams } = new URL(target);
  const folder = searchParams.get('host');
  const sockets = new Set<Socket>();
  let accepted = 0;

  const server: Server = createServer((client) => {
    accepted++;
    if (proxy.mode === 'refuse') {
      client.destroy();
      return;
    }
    const upstream = folder
      ? connect(`${folder}/.s.PGSQL.${searchParams.get('port') ?? (port || 5432)}`)
      : connect(Number(port || 5432), hostname);
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        sockets.delete(socket);
        // A black hole tells neither side that the other has gone.
        if (proxy.mode !== 'blackhole') other.destroy();
      });
    }
    client.on('data', (bytes) => {
      if (proxy.mode !== 'blackhole') upstream.write(bytes);
    });
    upstream.on('data', (bytes) => {
      if (proxy.mode === 'cut') client.destroy();
      else if (proxy.mode === 'deaf' && bytes[0] === NOTIFICATION) return;
      else if (proxy.mode !== 'blackhole')
        setTimeout(() => client.write(bytes), bytes[0] === NOTIFICATION ? 0 : proxy.delayMs);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port: ownPort } = server.address() as { port: number };

  const proxy = {
    port: ownPort,
    mode: 'pass' as ProxyMode,
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

/**
 * A proxy that reads along what the client asks of Postgres, and stops the conversation at a statement of one's choice:
 * before the server has heard it, or after the server has done it and before the client hears of it. So a test reaches
 * such a moment exactly, and not by luck. Where networks are to fail, put it in front of the proxy of proxy.ts.
 */
import { connect, createServer, type Socket } from 'node:net';

/** A statement that is about to be executed. */
export interface Statement {
  readonly text: string;
  /** Its parameters as they were sent, one text. */
  readonly parameters: string;
}

/** - `request`: the server has not heard the statement; `reply`: it has done it, and the client does not know. */
export type Moment = 'request' | 'reply';

export interface Hold {
  /** Resolves when a connection has come to the statement. The reply may still be on its way. */
  readonly reached: Promise<void>;
  /** Hands on what was held. */
  release(): void;
  /** Closes the connection; what was held is lost. */
  cut(): void;
}

export interface HoldingProxy {
  /** The database URL through the proxy. */
  url(of: string): string;
  /** Holds the first statement from now on that `wanted` says yes to. */
  hold(moment: Moment, wanted: (statement: Statement) => boolean): Hold;
  close(): Promise<void>;
}

interface Order {
  readonly moment: Moment;
  readonly wanted: (statement: Statement) => boolean;
  readonly met: (conversation: Conversation) => void;
}

const PARSE = 0x50;
const BIND = 0x42;
const QUERY = 0x51;

/** One connection, both ways. */
class Conversation {
  readonly #client: Socket;
  readonly #server: Socket;
  readonly #orders: Order[];
  readonly #texts = new Map<string, string>();
  readonly #held: { to: Socket; bytes: Buffer }[] = [];
  #rest = Buffer.alloc(0);
  #greeted = false;
  #holding: Moment | null = null;

  constructor(client: Socket, server: Socket, orders: Order[]) {
    this.#client = client;
    this.#server = server;
    this.#orders = orders;
    client.on('data', (bytes) => this.#fromClient(bytes));
    server.on('data', (bytes) => this.#hand(client, bytes, this.#holding === 'reply'));
    client.on('error', () => {}).on('close', () => server.destroy());
    server.on('error', () => {}).on('close', () => client.destroy());
  }

  release(): void {
    this.#holding = null;
    for (const { to, bytes } of this.#held.splice(0)) to.write(bytes);
  }

  cut(): void {
    this.#client.destroy();
    this.#server.destroy();
  }

  #hand(to: Socket, bytes: Buffer, held: boolean): void {
    if (held) this.#held.push({ to, bytes });
    else to.write(bytes);
  }

  #fromClient(bytes: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, bytes]);
    for (;;) {
      // The first message, and only that, has no byte for its type.
      const head = this.#greeted ? 1 : 0;
      if (this.#rest.length < head + 4) return;
      const size = head + this.#rest.readInt32BE(head);
      if (this.#rest.length < size) return;
      const message = this.#rest.subarray(0, size);
      this.#rest = this.#rest.subarray(size);
      if (this.#greeted) this.#read(message);
      this.#greeted = true;
      this.#hand(this.#server, message, this.#holding === 'request');
    }
  }

  #read(message: Buffer): void {
    const words = message.toString('latin1', 5).split('\0');
    if (message[0] === PARSE) this.#texts.set(words[0] ?? '', words[1] ?? '');
    if (message[0] === QUERY) this.#meet({ text: words[0] ?? '', parameters: '' });
    if (message[0] === BIND) {
      this.#meet({ text: this.#texts.get(words[1] ?? '') ?? '', parameters: message.toString('utf8', 5) });
    }
  }

  #meet(statement: Statement): void {
    const index = this.#orders.findIndex(({ wanted }) => wanted(statement));
    if (index < 0 || this.#holding) return;
    const [order] = this.#orders.splice(index, 1);
    this.#holding = order!.moment;
    order!.met(this);
  }
}

/** Starts it on a free port of 127.0.0.1, in front of the server (TCP, without TLS) that `target` names. */
export async function startHoldingProxy(target: string): Promise<HoldingProxy> {
  const { hostname, port } = new URL(target);
  const orders: Order[] = [];
  const open = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(Number(port || 5432), hostname);
    for (const socket of [client, upstream]) {
      open.add(socket);
      socket.on('close', () => open.delete(socket));
    }
    new Conversation(client, upstream, orders);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port: ownPort } = server.address() as { port: number };

  return {
    url(of) {
      const url = new URL(of);
      url.host = `127.0.0.1:${ownPort}`;
      return url.href;
    },
    hold(moment, wanted) {
      let conversation: Conversation | undefined;
      const reached = new Promise<void>((resolve) => {
        orders.push({
          moment,
          wanted,
          met: (met) => {
            conversation = met;
            resolve();
          },
        });
      });
      return { reached, release: () => conversation?.release(), cut: () => conversation?.cut() };
    },
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of open) socket.destroy();
      await closed;
    },
  };
}

/**
 * One connection to the server, with an end to every wait. Used by one query or transaction at a time.
 *
 * Underneath is a postgres.js client with a single connection. What is added:
 * - a deadline for every statement, after which the socket is destroyed (postgres.js has none: through a black-holed
 *   connection a query hangs for ever)
 * - a session is never reconnected behind our back: within a transaction the rest of it would run on the new
 *   connection, outside of any transaction
 */
import type { Socket } from 'node:net';
import { Socket as NetSocket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import postgres from 'postgres';
import { ConnectionError, failureOf } from './failure.js';
import { openSocket } from './socket.js';
import { nameOf, type Server, type Target } from './url.js';

/** A value for a placeholder. Arrays go as literals (see `arrayOf`), structures as one JSON text. */
export type Param = string | number | boolean | null | Date;

/** Time for the TCP connection and TLS, and again for the login. */
const CONNECT_TIMEOUT_MS = 10_000;
/** Before the same server is tried again for one session: some accept a connection only to close it at once. */
const AGAIN_MS = 200;
/** What a polite end of a connection may take before its socket is destroyed. */
const GOODBYE_MS = 1_000;

export interface SessionOptions {
  readonly target: Target;
  /** Which server is tried next; shared by the sessions of one database, so that a new one goes on after a bad one. */
  readonly rotation: Rotation;
  /** Start-up parameters: they hold for the whole session and cost no query. */
  readonly parameters: Readonly<Record<string, string>>;
  /** Milliseconds that a statement may take. */
  readonly deadlineMs: number;
  readonly onNotify?: ((channel: string, payload: string) => void) | undefined;
  /** The connection has ended, whoever ended it. */
  readonly onEnd?: () => void;
}

/** The servers of a URL, in turn. */
export class Rotation {
  #next = 0;
  readonly #servers: readonly Server[];

  constructor(servers: readonly Server[]) {
    this.#servers = servers;
  }

  get size(): number {
    return this.#servers.length;
  }

  next(): Server {
    return this.#servers[this.#next++ % this.#servers.length] as Server;
  }
}

export class Session {
  readonly #options: SessionOptions;
  readonly #client: postgres.Sql;
  readonly #ending = new AbortController();
  #socket: Socket | null = null;
  #server: Server;
  #opened = 0;
  #answered = false;
  #ended = false;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#server = options.target.servers[0];
    this.#client = this.#createClient();
  }

  /** False once the connection is gone: the next query needs a new session. */
  get alive(): boolean {
    return !this.#ended;
  }

  /** One statement, prepared on first use (not behind a pooler: it hangs there without an error). */
  query<R extends object>(text: string, params: readonly Param[] = []): Promise<R[]> {
    const prepare = !this.#options.target.pooled;
    // `simple: false`, or a statement without parameters is sent unprepared.
    const options = { prepare, simple: false } as postgres.UnsafeQueryOptions;
    return this.#run(() => this.#client.unsafe<R[]>(text, [...params], options));
  }

  /** Any number of statements without parameters. Resolves to the server's word for the last (`COMMIT`, `ROLLBACK`). */
  async script(text: string): Promise<string> {
    const result = await this.#run(() => this.#client.unsafe(text));
    return (result as { command?: string }).command ?? '';
  }

  /** Ends it politely; what is still running fails. Takes a second at most, whatever became of the other side. */
  async close(): Promise<void> {
    this.#ended = true;
    this.#ending.abort(new ConnectionError('CLOSED', 'the connection was closed'));
    await this.#client.end({ timeout: GOODBYE_MS / 1000 });
    // postgres.js ends its side only; on a half-open connection the other side never answers.
    this.#socket?.destroy();
  }

  /** Ends it now. What is running fails with `error`. */
  destroy(error: Error): void {
    this.#ended = true;
    this.#ending.abort(error);
    this.#socket?.destroy(error);
    void this.#client.end({ timeout: 0 });
  }

  #createClient(): postgres.Sql {
    const { target, parameters, onNotify } = this.#options;
    const server = target.servers[0];
    const options = {
      // Only named in postgres.js's own messages: the socket is ours.
      ...('path' in server ? { path: server.path } : { host: server.host, port: server.port }),
      socket: () => this.#openOrDoom(),
      ssl: false,
      user: target.user,
      pass: target.password,
      database: target.database,
      connection: parameters,
      target_session_attrs: target.primaryOnly ? 'primary' : undefined,
      max: 1,
      // Recycling closes between two statements, be it in the middle of a transaction.
      max_lifetime: null,
      idle_timeout: null,
      connect_timeout: CONNECT_TIMEOUT_MS / 1000,
      fetch_types: false,
      onnotice: () => {},
      onnotify: onNotify,
      onclose: () => this.#closed(),
    };
    return postgres(options as unknown as postgres.Options<Record<string, never>>);
  }

  /** Runs a statement against the clock. Past the deadline nothing is known of it, and the connection goes with it. */
  async #run<T>(start: () => PromiseLike<T>): Promise<T> {
    if (this.#ended) throw new ConnectionError('LOST', `the connection to ${nameOf(this.#server)} was lost`);
    const { deadlineMs } = this.#options;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        const seconds = deadlineMs / 1000;
        const error = new ConnectionError('DEADLINE', `no answer from ${nameOf(this.#server)} within ${seconds} s`);
        this.destroy(error);
        reject(error);
      }, deadlineMs);
    });
    try {
      const result = await Promise.race([start(), late]);
      this.#answered = true;
      return result;
    } catch (error) {
      // 25006: this server can't be written to (any more); after a failover only a new connection finds the primary.
      if (failureOf(error).kind === 'readonly') this.destroy(error as Error);
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  #closed(): void {
    this.#ended = true;
    this.#options.onEnd?.();
  }

  /**
   * What postgres.js calls for a socket. It must not throw there: the connection would stay "connecting" for ever.
   * So a failure is handed over as a socket that fails as soon as postgres.js listens to it.
   */
  async #openOrDoom(): Promise<Socket> {
    try {
      this.#socket = await this.#open();
      return this.#socket;
    } catch (error) {
      const doomed = new NetSocket();
      setImmediate(() => doomed.destroy(error as Error));
      return doomed;
    }
  }

  /** The first server that answers. postgres.js calls again where one turned out to be a standby or hung up at login. */
  async #open(): Promise<Socket> {
    const { rotation, target } = this.#options;
    if (this.#answered) throw new ConnectionError('LOST', `the connection to ${nameOf(this.#server)} was lost`);
    let failure: unknown = new ConnectionError('NO_SERVER', noServer(target));
    while (this.#opened < 2 * rotation.size && !this.#ending.signal.aborted) {
      if (this.#opened++ >= rotation.size) await pause(AGAIN_MS, undefined, { signal: this.#ending.signal });
      this.#server = rotation.next();
      const timeout = AbortSignal.timeout(CONNECT_TIMEOUT_MS / rotation.size);
      try {
        return await openSocket(this.#server, target.tls, AbortSignal.any([this.#ending.signal, timeout]));
      } catch (error) {
        failure = error;
        if (this.#opened >= rotation.size) break;
      }
    }
    throw this.#ending.signal.aborted ? this.#ending.signal.reason : failure;
  }
}

function noServer(target: Target): string {
  const names = target.servers.map(nameOf).join(', ');
  return target.primaryOnly
    ? `none of ${names} is a primary that lets us in`
    : `${names} closed the connection at login`;
}

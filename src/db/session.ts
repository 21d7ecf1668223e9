/**
 * One connection to one server, with an end to every wait. Used by one query or transaction at a time.
 *
 * Underneath is a postgres.js client with a single connection. What is added:
 * - a deadline for every statement, after which the socket is destroyed (postgres.js has none: through a black-holed
 *   connection a query hangs for ever)
 * - it is never reconnected behind our back: within a transaction the rest of it would run on the new connection,
 *   outside of any transaction. A session that has ended stays ended
 */
import { Socket } from 'node:net';
import postgres from 'postgres';
import { ConnectionError, cameFrom, type FailureKind, failureOf } from './failure.js';
import { openSocket } from './socket.js';
import { nameOf, type Server, type Target } from './url.js';

/** A value for a placeholder. Arrays go as literals (see `arrayOf`), structures as one JSON text. */
export type Param = string | number | boolean | null | Date;

/** Time for the TCP connection and TLS (all servers of the URL together), and again for the login. */
const CONNECT_TIMEOUT_MS = 10_000;
/** What a polite end of a connection may take before its socket is destroyed. */
const GOODBYE_MS = 1_000;

export interface SessionOptions {
  readonly target: Target;
  /** Start-up parameters: they hold for the whole session and cost no query. */
  readonly parameters: Readonly<Record<string, string>>;
  /** Milliseconds that a statement may take. */
  readonly deadlineMs: number;
  /** A pooler is in between: the next transaction may be given another session of the server. */
  readonly pooled: boolean;
}

/** What a server says of itself at the start of a session. */
export interface Greeting {
  readonly standby: boolean;
  /** The schema of the queue's tables as found through the search path; null where there are none. */
  readonly home: string | null;
  /** Where a table without a schema would be made. */
  readonly current: string | null;
}

/** After these the session is of no further use. */
const OVER: readonly FailureKind[] = ['unreachable', 'readonly'];

/** Without parameters and unprepared: any pooler can hand it on. */
const GREETING = `
  select pg_backend_pid() as pid, pg_is_in_recovery() as standby, current_schema()::text as current,
         (select n.nspname::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
           where c.oid = to_regclass('cape_issues')) as home`;

export class Session {
  /** Called with what is said on the channels listened to. */
  onNotify: ((channel: string, payload: string) => void) | null = null;
  /** Called when the connection has ended, whoever ended it. */
  onEnd: (() => void) | null = null;
  readonly #options: SessionOptions;
  readonly #server: Server;
  readonly #client: postgres.Sql;
  readonly #ending = new AbortController();
  #socket: Socket | null = null;
  #opened = false;
  #answered = false;
  #ended = false;
  #pooled: boolean;

  /** Connects with the first query. */
  constructor(options: SessionOptions, server: Server) {
    this.#options = options;
    this.#pooled = options.pooled;
    this.#server = server;
    this.#client = this.#createClient();
  }

  /** False once the connection is gone: the next query needs a new session. */
  get alive(): boolean {
    return !this.#ended;
  }

  /** A pooler is in between, as told or as found by `greet`. */
  get pooled(): boolean {
    return this.#pooled;
  }

  /**
   * Connects and asks who is there. A pooler gives itself away: it hands out process numbers of its own (for cancelling),
   * since the server's session that answers is another one each time. That holds for one that takes start-up parameters
   * and drops them, too (pgbouncer's `ignore_startup_parameters`).
   */
  async greet(): Promise<Greeting> {
    const rows = await this.#run(() => this.#client.unsafe<(Greeting & { pid: number })[]>(GREETING));
    const [row] = rows;
    if (!row) throw new ConnectionError('LOGIN', `${nameOf(this.#server)} does not answer as Postgres does`);
    const { pid } = rows.state as unknown as { pid: number };
    if (pid !== row.pid) this.#pooled = true;
    return row;
  }

  /** One statement, prepared on first use (not behind a pooler: it hangs there without an error). */
  query<R extends object>(text: string, params: readonly Param[] = []): Promise<R[]> {
    const prepare = !this.#pooled;
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
    // Before the first answer there may be no server to be polite to.
    if (!this.#answered) return this.destroy(this.#lost());
    this.#ended = true;
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
    const { target, parameters } = this.#options;
    const server = this.#server;
    const options = {
      // Only named in postgres.js's own messages: the socket is ours.
      ...('path' in server ? { path: server.path } : { host: server.host, port: server.port }),
      socket: () => this.#openOrDoom(),
      ssl: false,
      user: target.user,
      pass: target.password,
      database: target.database,
      connection: parameters,
      max: 1,
      // Recycling closes between two statements, be it in the middle of a transaction.
      max_lifetime: null,
      idle_timeout: null,
      connect_timeout: CONNECT_TIMEOUT_MS / 1000,
      fetch_types: false,
      onnotice: () => {},
      onnotify: (channel: string, payload: string) => this.onNotify?.(channel, payload),
      onclose: () => this.#closed(),
    };
    return postgres(options as unknown as postgres.Options<Record<string, never>>);
  }

  /** Runs a statement against the clock. Past the deadline nothing is known of it, and the connection goes with it. */
  async #run<T>(start: () => PromiseLike<T>): Promise<T> {
    if (this.#ended) throw this.#lost();
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
    let query: PromiseLike<T> | undefined;
    try {
      query = start();
      const result = await Promise.race([query, late]);
      this.#answered = true;
      return result;
    } catch (error) {
      // 25006: this server can't be written to (any more); after a failover only a new connection finds the primary.
      // A socket that failed is closed an instant later only, and postgres.js never answers what is sent in between: a
      // rollback waited for its whole deadline.
      if (OVER.includes(failureOf(error).kind)) this.destroy(error as Error);
      const ours = this.#inOurWords(error);
      cameFrom(nameOf(this.#server), ours);
      throw ours;
    } finally {
      clearTimeout(timer);
      forgetParams(query);
    }
  }

  #closed(): void {
    this.#ended = true;
    this.onEnd?.();
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
      const doomed = new Socket();
      setImmediate(() => doomed.destroy(error as Error));
      return doomed;
    }
  }

  /** postgres.js comes a second time where the server hung up at the login, or where queries wait on a lost connection. */
  async #open(): Promise<Socket> {
    if (this.#answered) throw this.#lost();
    if (this.#opened) throw new ConnectionError('LOGIN', `${nameOf(this.#server)} closed the connection at the login`);
    this.#opened = true;
    const { target } = this.#options;
    const timeout = AbortSignal.timeout(Math.ceil(CONNECT_TIMEOUT_MS / target.servers.length));
    return openSocket(this.#server, target.tls, AbortSignal.any([this.#ending.signal, timeout]));
  }

  /** postgres.js says "write CONNECTION_CLOSED host" where the connection ended, and the like. */
  #inOurWords(error: unknown): unknown {
    const { code } = error as { code?: unknown };
    if (code === 'CONNECT_TIMEOUT')
      return new ConnectionError(code, `no connection to ${nameOf(this.#server)} in time`, { cause: error });
    return typeof code === 'string' && code.startsWith('CONNECTION_') ? this.#lost(error) : error;
  }

  #lost(cause?: unknown): ConnectionError {
    return new ConnectionError('LOST', `the connection to ${nameOf(this.#server)} was lost`, { cause });
  }
}

/**
 * Queries of postgres.js that have been answered hang together until V8 collects all of its memory: a young collection
 * keeps them, and with each the texts that were sent. Of 48 KiB statements it kept 4 MB of 15 each time, without the
 * texts 0.2.
 */
function forgetParams(query: unknown): void {
  const { args, parameters } = (query ?? {}) as { args?: unknown[]; parameters?: unknown[] };
  if (args) args.length = 0;
  if (parameters) parameters.length = 0;
}

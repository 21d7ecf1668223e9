/**
 * The door to the database: a handful of connections, each used by one query or one transaction at a time.
 * Queries are not pipelined: a deadline then counts the query's own time, not that of those before it, and a cut
 * connection leaves one statement unclear instead of many.
 */
import { CapeError } from '../core/errors.js';
import { ConnectionError } from './failure.js';
import { Servers, type ServersOptions } from './servers.js';
import type { Param, Session } from './session.js';
import { parseUrl } from './url.js';

export type { Param } from './session.js';
export { redactUrl } from './url.js';

export interface Queryable {
  /**
   * One statement. Rows are plain objects with the column names: timestamptz as Date, bigint and numeric as string,
   * json parsed, arrays as their text.
   * @throws what `failureOf` understands
   */
  query<R extends object>(text: string, params?: readonly Param[]): Promise<R[]>;
}

export interface Database extends Queryable {
  /** Where our tables are; statements name them unqualified. */
  readonly schema: string;
  /** A pooler is in between, as far as is known before the first query. */
  readonly pooled: boolean;
  /** Runs `work` in a transaction on one connection; rolled back where it throws. */
  transaction<T>(work: (tx: Queryable) => Promise<T>): Promise<T>;
  /** Lets what is running end for two seconds at most, then closes. Later queries are refused. */
  close(): Promise<void>;
}

export interface ConnectOptions {
  readonly url: string;
  readonly schema: string;
  /** Shown by `pg_stat_activity`. */
  readonly applicationName: string;
  /** How many at most, default 1. */
  readonly connections?: number;
  /** Milliseconds that any statement may take, default 15,000. Past it the connection is destroyed. */
  readonly deadlineMs?: number;
  /** For the statements of a worker, written for exactly these plans. */
  readonly planner?: boolean;
  /** Of several servers another one than before is used now: a failover. Both are named as `host:port`. */
  readonly onMoved?: (to: string, from: string) => void;
}

const DEADLINE_MS = 15_000;
const CLOSE_MS = 2_000;

/**
 * A database, lazily: nothing is connected before the first query.
 * @throws CapeError('config') for a malformed URL or schema name
 */
export function connect(options: ConnectOptions): Database {
  const servers = serversOf(options);
  servers.onMoved = options.onMoved ?? null;
  return new PooledDatabase(options.schema, servers, options.connections ?? 1);
}

/** The servers of a URL. @param options.schema where the tables are; null = none are needed */
export function serversOf(options: Omit<ConnectOptions, 'schema'> & { readonly schema: string | null }): Servers {
  const deadlineMs = options.deadlineMs ?? DEADLINE_MS;
  const { applicationName, schema, planner = false } = options;
  const target = parseUrl(options.url);
  const parameters: ServersOptions['parameters'] = {
    application_name: applicationName,
    ...(schema === null ? {} : { search_path: `${quoteName(schema)}, pg_temp` }),
    // A bit before our own deadline: an answer "too slow" leaves no doubt, a destroyed connection does.
    statement_timeout: String(Math.ceil(deadlineMs * 0.9)),
    // A worker that was stopped in mid-transaction must not keep its locks.
    idle_in_transaction_session_timeout: String(2 * deadlineMs),
    // Short statements never gain from JIT; with enable_seqscan=off it cost 1 to 2 s each.
    jit: 'off',
    ...(planner ? PLANNER : {}),
    ...(target.options === null ? {} : { options: target.options }),
  };
  // A pooler refuses start-up parameters that it does not know, and `set` would leak to its other clients.
  const pooledParameters = { application_name: applicationName };
  return new Servers({ target, deadlineMs, parameters, pooledParameters, schema });
}

/**
 * Plans made while the tables were empty would otherwise stay until the next autoanalyze, and joins of a few hundred
 * rows became quadratic nested loops (68 us a row against 23).
 */
const PLANNER = { enable_seqscan: 'off', enable_nestloop: 'off', plan_cache_mode: 'force_generic_plan' };

/** A connection's place in the pool; its session comes and goes. */
interface Place {
  session: Session | null;
}

class PooledDatabase implements Database {
  readonly schema: string;
  readonly #servers: Servers;
  readonly #places: Place[];
  readonly #free: Place[];
  readonly #waiting: ((place: Place) => void)[] = [];
  readonly #running = new Set<Promise<unknown>>();
  readonly #closing = new AbortController();
  #closed = false;

  constructor(schema: string, servers: Servers, connections: number) {
    this.schema = schema;
    this.#servers = servers;
    this.#places = Array.from({ length: connections }, () => ({ session: null }));
    this.#free = [...this.#places];
  }

  get pooled(): boolean {
    return this.#servers.pooled;
  }

  query<R extends object>(text: string, params?: readonly Param[]): Promise<R[]> {
    return this.#use((session) => session.query<R>(text, params));
  }

  transaction<T>(work: (tx: Queryable) => Promise<T>): Promise<T> {
    return this.#use((session) => inTransaction(session, work));
  }

  async close(): Promise<void> {
    this.#closed = true;
    const patience = new AbortController();
    await Promise.race([Promise.allSettled(this.#running), delay(CLOSE_MS, patience.signal)]);
    patience.abort();
    this.#closing.abort(refusal());
    await Promise.all(this.#places.map((place) => place.session?.close()));
  }

  async #use<T>(work: (session: Session) => Promise<T>): Promise<T> {
    if (this.#closed) throw refusal();
    const running = this.#onFreePlace(work);
    this.#running.add(running);
    try {
      return await running;
    } finally {
      this.#running.delete(running);
    }
  }

  async #onFreePlace<T>(work: (session: Session) => Promise<T>): Promise<T> {
    const place = this.#free.pop() ?? (await new Promise<Place>((resolve) => this.#waiting.push(resolve)));
    try {
      if (!place.session?.alive) place.session = await this.#servers.open(this.#closing.signal);
      return await work(place.session);
    } finally {
      const next = this.#waiting.shift();
      if (next) next(place);
      else this.#free.push(place);
    }
  }
}

function refusal(): ConnectionError {
  return new ConnectionError('CLOSED', 'the database connection was closed');
}

/** Begin, work, commit. Also for a session that is not part of a pool. */
export async function inTransaction<T>(session: Session, work: (tx: Session) => Promise<T>): Promise<T> {
  await session.script('begin');
  try {
    const result = await work(session);
    // Where a statement failed and `work` swallowed it, the server answers COMMIT with ROLLBACK and no error.
    const answer = await session.script('commit');
    if (answer !== 'COMMIT') throw new ConnectionError('ROLLED_BACK', 'a statement of the transaction had failed');
    return result;
  } catch (error) {
    await rollback(session);
    throw error;
  }
}

/** A session whose transaction can't be ended is of no further use; the error that brought us here is the one to tell. */
async function rollback(session: Session): Promise<void> {
  if (!session.alive) return;
  await session.script('rollback').catch((error: Error) => session.destroy(error));
}

function delay(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => clearTimeout(timer));
  });
}

/** A Postgres array literal, `{"a","b"}`, for a parameter with a cast: `$1::int[]`, `$2::uuid[]`, `$3::text[]`. */
export function arrayOf(values: Iterable<string | number | null>): string {
  const items = [...values].map((value) =>
    value === null ? 'null' : typeof value === 'number' ? value : `"${value.replace(/["\\]/g, '\\$&')}"`,
  );
  return `{${items.join(',')}}`;
}

/**
 * A name as SQL takes it, quoted.
 * @throws CapeError('config') for one that Postgres would cut (63 bytes) or refuse
 */
export function quoteName(name: string): string {
  if (name === '' || name.includes('\0') || Buffer.byteLength(name) > 63)
    throw new CapeError('config', `schema "${name}" is not a name: 1 to 63 bytes without NUL are allowed`);
  return `"${name.replaceAll('"', '""')}"`;
}

const OLDEST_SERVER = 13;

/**
 * The server's version as a number, 150004 for 15.4.
 * @throws CapeError('database') for one older than Postgres 13
 */
export async function serverVersion(db: Queryable): Promise<number> {
  const [row] = await db.query<{ number: number; text: string }>(
    `select current_setting('server_version_num')::int as number, current_setting('server_version') as text`,
  );
  if (!row || row.number < OLDEST_SERVER * 10_000)
    throw new CapeError('database', `the server is Postgres ${row?.text}; ${OLDEST_SERVER} or newer is needed`);
  return row.number;
}

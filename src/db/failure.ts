/**
 * What a failed query means, read from SQLSTATE or the system's error code. Never from the message: its text depends
 * on the server's language and version.
 */
import postgres from 'postgres';
import { CapeError, messageOf } from '../core/errors.js';
import { redactUrl } from './url.js';

/**
 * - `unreachable`: no usable connection now; it may come back
 * - `refused`: the server or its certificate says no (login, unknown database, TLS); waiting changes nothing
 * - `readonly`: a standby, or a server set to read only; the connection has been dropped, another server may do
 * - `schema`: a table, column or function is missing: not migrated, or by another version
 * - `permission`: the role may not
 * - `data`: the values can't be stored; the same statement will always fail
 * - `transient`: a lock, a deadlock, a timeout, a full disk: try again
 * - `other`: anything else, a bug of ours among them
 */
export type FailureKind =
  | 'unreachable'
  | 'refused'
  | 'readonly'
  | 'schema'
  | 'permission'
  | 'data'
  | 'transient'
  | 'other';

export interface Failure {
  readonly kind: FailureKind;
  /** The statement may or may not have been committed: ask before doing it again. */
  readonly unclear: boolean;
  /** SQLSTATE or system error code. */
  readonly code: string | null;
  readonly message: string;
  /** `host:port`, or the socket's path, of the server that it was; null where that is not known. */
  readonly server: string | null;
}

/** Errors and the server they came from: Postgres's own messages do not name it. */
const servers = new WeakMap<object, string>();

/** Notes for `failureOf` which server an error came from. */
export function cameFrom(server: string, error: unknown): void {
  if (typeof error === 'object' && error !== null) servers.set(error, server);
}

/** Errors that came before anything was sent. */
const unsent = new WeakSet<object>();

/** Notes for `failureOf` that nothing was sent of what was to be done: a session's greeting failed. */
export function nothingSent(error: unknown): void {
  if (typeof error === 'object' && error !== null) unsent.add(error);
}

/** A failure of our own making, with a code that `failureOf` knows. */
export class ConnectionError extends Error {
  override readonly name = 'ConnectionError';
  readonly code:
    | 'CONNECT_TIMEOUT'
    | 'DEADLINE'
    | 'LOST'
    | 'CLOSED'
    | 'LOGIN'
    | 'NO_PRIMARY'
    | 'STANDBY'
    | 'TLS'
    | 'ROLLED_BACK';

  constructor(code: ConnectionError['code'], message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

/** Names what went wrong with a query. Takes anything that `Database` or `Queryable` may reject with. */
export function failureOf(error: unknown): Failure {
  const message = messageOf(error);
  const server = servers.get(Object(error)) ?? null;
  if (error instanceof postgres.PostgresError) {
    const { code } = error;
    const advice = PREPARED_STATES.has(code) ? '; behind a pooler add pgbouncer=true to the URL' : '';
    return {
      kind: kindOfState(code),
      unclear: UNCLEAR_STATES.has(code) && !unsent.has(error),
      code,
      message: message + advice,
      server,
    };
  }
  const { code, syscall } = (error ?? {}) as { code?: unknown; syscall?: unknown };
  if (typeof code !== 'string') return { kind: 'other', unclear: false, code: null, message, server };
  const kind = KIND_OF_CODE.get(code);
  if (kind === undefined) return { kind: 'other', unclear: false, code, message, server };
  // A failed connect or name look-up sent nothing; the same code from a read or write may have followed a statement.
  const sent =
    syscall !== 'connect' && syscall !== 'getaddrinfo' && !NOTHING_SENT.has(code) && !unsent.has(error as object);
  return { kind, unclear: kind === 'unreachable' && sent, code, message, server };
}

/** 53300 in words: the server runs and the URL is right, but there is no connection left. */
export const OUT_OF_CONNECTIONS = [
  'is out of connections',
  'each worker takes three or four, and one more now and then',
] as const;

/** For people, where nothing can go on without the database: which one, and what it said. */
export function databaseError(url: string, error: unknown): CapeError {
  return new CapeError('database', `database "${redactUrl(url)}": ${failureOf(error).message}`, { cause: error });
}

/** Most exact first: a whole SQLSTATE, then its class (the first two characters). */
function kindOfState(state: string): FailureKind {
  return KIND_OF_STATE.get(state) ?? KIND_OF_STATE.get(state.slice(0, 2)) ?? 'other';
}

const KIND_OF_STATE = new Map<string, FailureKind>([
  ['08', 'unreachable'],
  ['28', 'refused'],
  ['3D000', 'refused'], // no such database
  ['57P04', 'refused'], // the database was dropped
  ['57P01', 'unreachable'], // administrator's command
  ['57P02', 'unreachable'], // crash of another backend
  ['57P03', 'unreachable'], // starting up or shutting down
  ['57P05', 'unreachable'], // idle session timeout
  ['25P03', 'unreachable'], // idle in transaction timeout
  ['53300', 'unreachable'], // too many connections
  ['25006', 'readonly'],
  ['3F000', 'schema'],
  ['42P01', 'schema'],
  ['42703', 'schema'],
  ['42704', 'schema'],
  ['42883', 'schema'],
  ['42501', 'permission'],
  ['22', 'data'],
  ['23', 'data'],
  ['54', 'data'], // program limits: a row or an index entry too large
  ['40', 'transient'],
  ['53', 'transient'],
  ['55P03', 'transient'],
  ['57014', 'transient'],
]);

/**
 * The session ended on the server's side, perhaps after its commit and before its answer. 08P01 is what pgbouncer calls
 * everything: the end of a server's session in mid-statement as well as "too many clients" and a refused login.
 */
const UNCLEAR_STATES = new Set(['08000', '08003', '08006', '08007', '08P01', '40003', '57P01', '57P02']);

/** A prepared statement that is not there, or there already: of another session, so a pooler went unnoticed. */
const PREPARED_STATES = new Set(['26000', '42P05']);

const KIND_OF_CODE = new Map<string, FailureKind>([
  ...'ECONNREFUSED ECONNRESET ECONNABORTED EPIPE ETIMEDOUT EHOSTUNREACH EHOSTDOWN ENETUNREACH ENETDOWN ENOTFOUND EAI_AGAIN'
    .split(' ')
    .map((code) => [code, 'unreachable'] as const),
  // The socket file: not there yet; not ours to open.
  ['ENOENT', 'unreachable'],
  ['EACCES', 'refused'],
  ...'CONNECT_TIMEOUT DEADLINE LOST CLOSED LOGIN NO_PRIMARY'.split(' ').map((code) => [code, 'unreachable'] as const),
  ['STANDBY', 'readonly'],
  ['TLS', 'refused'],
  ['SASL_SIGNATURE_MISMATCH', 'refused'],
  ['ROLLED_BACK', 'other'],
]);

const NOTHING_SENT = new Set(['CONNECT_TIMEOUT', 'CLOSED', 'LOGIN', 'NO_PRIMARY']);

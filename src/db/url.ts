/**
 * The database URL, read as psql reads it: several hosts, socket folders, `sslmode` and the certificate files.
 * postgres.js has a parser of its own that knows no `?host=/folder` and passes every parameter that it does not
 * know to the server, so it gets finished values instead of the URL.
 */
import { userInfo } from 'node:os';
import { CapeError } from '../core/errors.js';

/** Where one server listens: an address, or the socket file in a folder. */
export type Server = { readonly host: string; readonly port: number } | { readonly path: string };

export const SSL_MODES = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'] as const;
export type SslMode = (typeof SSL_MODES)[number];

/** How to talk TLS, as the URL says it; files are read when a connection is opened. */
export interface Tls {
  /** Null where the URL says nothing: `prefer`, as psql does, but plain towards this machine itself. */
  readonly mode: SslMode | null;
  readonly rootCert: string | null;
  readonly cert: string | null;
  readonly key: string | null;
}

/** Everything that a database URL says. */
export interface Target {
  readonly servers: readonly [Server, ...Server[]];
  readonly user: string;
  /** Empty where the URL has none (trust, peer, or PGPASSWORD, which postgres.js looks up itself). */
  readonly password: string;
  readonly database: string;
  readonly tls: Tls;
  /** Pass over servers that can't be written to. */
  readonly primaryOnly: boolean;
  /**
   * `?pgbouncer=true`: a pooler that gives each transaction another server session is in between. Nothing that belongs to
   * a session may be used then: start-up parameters, prepared statements, session locks, LISTEN.
   */
  readonly pooled: boolean;
  /** The `options` start-up parameter, `-c name=value`. */
  readonly options: string | null;
}

const SHAPE = 'expected postgres://user:password@host:port/database';
const URL_PARTS = /^postgres(?:ql)?:\/\/(?:([^/?#]*)@)?([^/?#@]*)(?:\/([^?#]*))?(?:\?([^#]*))?$/;

const KNOWN = new Set(
  'host port user password dbname sslmode sslrootcert sslcert sslkey target_session_attrs options pgbouncer'.split(' '),
);
/**
 * Accepted and without effect: what psql takes but says nothing to us, and what hosting companies put into the URLs they
 * hand out. Refusing `channel_binding` would refuse every Neon URL; postgres.js can't do it.
 */
const IGNORED = new Set(
  'application_name connect_timeout channel_binding gssencmode keepalives keepalives_idle sslcompression'.split(' '),
);

/** The URL without its password, for messages and logs. Works on malformed URLs too, masking rather too much. */
export function redactUrl(url: string): string {
  return url
    .replace(/^((?:[a-z][a-z0-9+.-]*:\/\/)?[^:@/?#]*):(?!\/\/).*@/i, '$1:***@')
    .replace(/([?&](?:ssl)?password=)[^&#]*/gi, '$1***');
}

/**
 * Takes a database URL apart.
 * @throws CapeError('config') that shows the URL with its password masked
 */
export function parseUrl(url: string): Target {
  const refuse = (why: string): never => {
    throw new CapeError('config', `database URL "${redactUrl(url)}": ${why}`);
  };
  const [, credentials, authority = '', path = '', search = ''] = URL_PARTS.exec(url) ?? refuse(SHAPE);
  const query = new Map(new URLSearchParams(search.replaceAll('+', '%2B')));
  for (const name of query.keys())
    if (!KNOWN.has(name) && !IGNORED.has(name)) refuse(`unknown parameter "${name}"; known: ${[...KNOWN].join(', ')}`);

  const [name, secret] = decodeAll(split(credentials ?? ''), refuse);
  const user = query.get('user') ?? (name || userInfo().username);
  const servers = serversOf(authority, query, refuse);
  return {
    servers,
    user,
    password: query.get('password') ?? secret ?? '',
    database: query.get('dbname') || decodeAll([path], refuse)[0] || user,
    tls: tlsOf(query, refuse),
    primaryOnly: primaryOnly(query.get('target_session_attrs'), servers.length, refuse),
    pooled: query.get('pgbouncer') === 'true',
    options: query.get('options') ?? null,
  };
}

type Refuse = (why: string) => never;

function split(credentials: string): string[] {
  const colon = credentials.indexOf(':');
  return colon < 0 ? [credentials] : [credentials.slice(0, colon), credentials.slice(colon + 1)];
}

function decodeAll(parts: string[], refuse: Refuse): string[] {
  try {
    return parts.map(decodeURIComponent);
  } catch {
    return refuse('a "%" that is meant literally must be written %25');
  }
}

/** `host:port` pairs of the authority, or the comma-separated `host` and `port` parameters, which go before as in psql. */
function serversOf(authority: string, query: Map<string, string>, refuse: Refuse): [Server, ...Server[]] {
  const pairs = authority.split(',').map((part) => /^(\[[^\]]*\]|[^:]*)(?::(.*))?$/.exec(part) ?? refuse(SHAPE));
  const hosts = query.get('host')?.split(',') ?? pairs.map(([, host = '']) => decodeAll([host], refuse)[0] ?? '');
  const ports = query.get('port')?.split(',') ?? pairs.map(([, , port]) => port || '5432');
  const [first, ...rest] = hosts.map((host, i) => {
    const text = ports[i] ?? ports[0] ?? '5432';
    const port = Number(text);
    if (!/^\d+$/.test(text) || port < 1 || port > 65535) refuse(`port "${text}" is not a number from 1 to 65535`);
    if (host.startsWith('/')) return { path: `${host}/.s.PGSQL.${port}` };
    return { host: host.replace(/^\[(.*)\]$/, '$1') || 'localhost', port };
  });
  return [first ?? { host: 'localhost', port: 5432 }, ...rest];
}

function tlsOf(query: Map<string, string>, refuse: Refuse): Tls {
  const mode = query.get('sslmode') ?? null;
  if (mode !== null && !SSL_MODES.includes(mode as SslMode))
    refuse(`sslmode "${mode}" is unknown; allowed: ${SSL_MODES.join(', ')}`);
  return {
    mode: mode as SslMode | null,
    rootCert: query.get('sslrootcert') ?? null,
    cert: query.get('sslcert') ?? null,
    key: query.get('sslkey') ?? null,
  };
}

/** A worker writes, so of several servers only the primary is of use, and `read-write` can mean nothing else. */
function primaryOnly(attrs: string | undefined, servers: number, refuse: Refuse): boolean {
  if (attrs === undefined || attrs === 'any') return servers > 1;
  if (attrs === 'primary' || attrs === 'read-write') return true;
  return refuse(`target_session_attrs "${attrs}" can't be used, a worker writes; allowed: primary, read-write, any`);
}

/** `host:port` or the socket's path, for messages. */
export function nameOf(server: Server): string {
  return 'path' in server ? server.path : `${server.host}:${server.port}`;
}

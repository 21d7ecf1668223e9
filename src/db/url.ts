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

/**
 * What all but the password may be shown of. A user is one only beside a password: alone it may be both, run together
 * for want of a colon. What stands where a port belongs may be a password whose "@" was forgotten, so digits only.
 */
const HOST = String.raw`(?:\[[\da-f:.]*\]|[\w.%-]*)(?::\d*)?`;
const SHOWABLE = new RegExp(
  String.raw`^(postgres(?:ql)?://)(?:(?:([\w.%+~-]*):.*|[^/?#]*)@)?(${HOST}(?:,${HOST})*)(/[\w.%+~-]*)?(?:\?([^@#]*))?$`,
);

/** The URL without its password, for messages and logs. Of a URL with a typo in it next to nothing is shown. */
export function redactUrl(url: string): string {
  const [, scheme, user, servers, path = '', search] = SHOWABLE.exec(url.trim()) ?? [];
  if (scheme === undefined) return `${/^\s*(postgres(?:ql)?:\/\/)/.exec(url)?.[1] ?? ''}***`;
  const credentials = url.includes('@') ? `${user === undefined ? '' : `${user}:`}***@` : '';
  return `${scheme}${credentials}${servers}${path}${search === undefined ? '' : `?${redactQuery(search)}`}`;
}

function redactQuery(search: string): string {
  return search.split('&').map(redactParameter).join('&');
}

function redactParameter(parameter: string): string {
  const [, name = '', value = ''] = /^(\w+)=(.*)$/s.exec(parameter) ?? [];
  if (name === '') return '***';
  const known = name !== 'password' && (KNOWN.has(name) || IGNORED.has(name));
  return known && /^[\w.,%/~+= -]*$/.test(value) ? parameter : `${name}=***`;
}

/**
 * Takes a database URL apart. Spaces around it, as quotes in a unit file leave them, are none of its parts.
 * @throws CapeError('config') that shows the URL with its password masked
 */
export function parseUrl(written: string): Target {
  const url = written.trim();
  const shown = redactUrl(url);
  const refuse: Refuse = (why, part) => {
    // The part may belong to a password that holds what URLs give a meaning to.
    const got = part === undefined ? '' : `; got "${shown.includes(part) ? part : '***'}"`;
    throw new CapeError('config', `database URL "${shown}": ${why}${got}`);
  };
  const [, credentials, authority = '', path = '', search = ''] = URL_PARTS.exec(url) ?? refuse(SHAPE);
  const query = new Map(new URLSearchParams(search.replaceAll('+', '%2B')));
  for (const name of query.keys())
    if (!KNOWN.has(name) && !IGNORED.has(name)) refuse(`unknown parameter, known: ${[...KNOWN].join(', ')}`, name);

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

/** `part` is the piece of the URL that is refused. */
type Refuse = (why: string, part?: string) => never;

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
    if (!/^\d+$/.test(text) || port < 1 || port > 65535) refuse('a port must be a number from 1 to 65535', text);
    if (host.startsWith('/')) return { path: `${host}/.s.PGSQL.${port}` };
    return { host: host.replace(/^\[(.*)\]$/, '$1') || 'localhost', port };
  });
  return [first ?? { host: 'localhost', port: 5432 }, ...rest];
}

function tlsOf(query: Map<string, string>, refuse: Refuse): Tls {
  const mode = query.get('sslmode') ?? null;
  if (mode !== null && !SSL_MODES.includes(mode as SslMode))
    refuse(`sslmode must be one of ${SSL_MODES.join(', ')}`, mode);
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
  return refuse('target_session_attrs must be primary, read-write or any, since a worker writes', attrs);
}

/** `host:port` or the socket's path, for messages. */
export function nameOf(server: Server): string {
  return 'path' in server ? server.path : `${server.host}:${server.port}`;
}

/**
 * What must never be shown of a URL. A password of a few letters is masked in its URL only: it may be a word, as `cape`
 * is, of many lines.
 * @throws CapeError `config` for what is no database URL
 */
export function secretsOf(url: string): string[] {
  const { password } = parseUrl(url);
  const encoded = encodeURIComponent(password);
  return [url, `:${encoded}@`, `:${password}@`, ...(password.length < 8 ? [] : [password, encoded])];
}

/**
 * Opens the socket to a server, TLS included. postgres.js could do it too, but then the socket stays hidden inside it,
 * and destroying the socket is the only way to end a query on a connection that has silently died.
 */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import { CapeError, messageOf } from '../core/errors.js';
import { ConnectionError } from './failure.js';
import { nameOf, type Server, type SslMode, type Tls } from './url.js';

const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);
const YES = 'S'.charCodeAt(0);

/**
 * A connected socket on which the server waits for the start-up message.
 * @param signal ends the attempt
 * @throws the system's error; ConnectionError where TLS fails
 */
export async function openSocket(server: Server, tls: Tls, signal: AbortSignal): Promise<Socket> {
  const socket = 'path' in server ? connectTcp(server.path) : connectTcp(server.port, server.host);
  // Between two `once` nobody else listens, and an unheard 'error' ends the process.
  socket.on('error', () => {});
  try {
    await once(socket, 'connect', { signal });
    socket.setNoDelay(true);
    const mode = tls.mode ?? (isLocal(server) ? 'disable' : 'prefer');
    if ('path' in server || mode === 'disable') return socket;
    return await secure(socket, server.host, mode, tls, signal);
  } catch (error) {
    socket.destroy();
    throw signal.aborted ? timedOut(server, signal) : plain(error);
  }
}

function isLocal(server: Server): boolean {
  return 'path' in server || ['localhost', '127.0.0.1', '::1'].includes(server.host);
}

/** Asks for TLS as the protocol has it: eight bytes there, one byte back, then the handshake on the same socket. */
async function secure(socket: Socket, host: string, mode: SslMode, tls: Tls, signal: AbortSignal): Promise<Socket> {
  socket.write(SSL_REQUEST);
  const [answer] = (await Promise.race([once(socket, 'data', { signal }), hangUp(socket, signal)])) as [Buffer];
  // More than the one byte was put there by somebody in between, to be taken for the server's own words later.
  if (answer.length > 1) throw new ConnectionError('TLS', `${host} sent data before encryption began`);
  if (answer[0] !== YES) {
    if (mode === 'prefer' || mode === 'allow') return socket;
    throw new ConnectionError('TLS', `${host} does not offer TLS, which sslmode=${mode} asks for`);
  }
  const secured = connectTls({ socket, ...tlsOptions(host, mode, tls) });
  secured.on('error', () => {});
  try {
    await once(secured, 'secureConnect', { signal });
    return secured;
  } catch (error) {
    secured.destroy();
    if ((error as NodeJS.ErrnoException).syscall || signal.aborted) throw error;
    throw new ConnectionError('TLS', `${host}: ${messageOf(error)} (sslmode=${mode})`, { cause: error });
  }
}

/** Rejects when the server closes the connection instead of answering; `once` alone would wait for the time-out. */
async function hangUp(socket: Socket, signal: AbortSignal): Promise<never> {
  await once(socket, 'close', { signal });
  throw new ConnectionError('LOST', 'the server closed the connection before answering');
}

/** `require` encrypts without asking who the other side is, unless a root certificate is named: libpq's rules. */
function tlsOptions(host: string, mode: SslMode, tls: Tls): ConnectionOptions {
  const verify = mode === 'verify-ca' || mode === 'verify-full' || (mode === 'require' && tls.rootCert !== null);
  return {
    servername: isIP(host) ? undefined : host,
    host,
    rejectUnauthorized: verify,
    ca: tls.rootCert && tls.rootCert !== 'system' ? readPem('sslrootcert', tls.rootCert) : undefined,
    cert: tls.cert ? readPem('sslcert', tls.cert) : undefined,
    key: tls.key ? readPem('sslkey', tls.key) : undefined,
    ...(mode === 'verify-full' ? {} : { checkServerIdentity: () => undefined }),
  };
}

function readPem(parameter: string, file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new CapeError('config', `database URL: ${parameter} "${file}" can't be read: ${messageOf(error)}`);
  }
}

function timedOut(server: Server, signal: AbortSignal): unknown {
  if ((signal.reason as Error)?.name !== 'TimeoutError') return signal.reason;
  return new ConnectionError('CONNECT_TIMEOUT', `no connection to ${nameOf(server)} in time`);
}

/** A name with several addresses fails with an AggregateError that has an empty message: its first part says it. */
function plain(error: unknown): unknown {
  return error instanceof AggregateError ? error.errors[0] : error;
}

/** Before any route: is the request addressed to us, who is it, and may it. */
import * as cookies from 'cookie';
import type { FastifyRequest } from 'fastify';
import type { Role } from '../core/values.js';
import { HttpError } from './problems.js';
import type { Sessions, Tokens } from './tokens.js';

/** A page of another origin can't set it without asking first, and we answer no such question (no CORS). */
export const WRITE_HEADER = 'x-cape-request';

/** What a route is for; none: a token that may read is enough to read, and one that may write is needed for the rest. */
export type Access = 'public' | Role;

declare module 'fastify' {
  interface FastifyContextConfig {
    access?: Access;
    /** Not counted as a request: it costs next to nothing, and must be answered whoever else shares the address. */
    uncounted?: boolean;
  }
  interface FastifyRequest {
    /** Set by the guard; null where the route is public and nobody has shown anything. */
    role: Role | null;
  }
}

export interface GuardParts {
  readonly tokens: Tokens;
  readonly sessions: Sessions;
  readonly isOurHost: (header: string | undefined) => boolean;
  /** Counts a request of one that is known. @throws HttpError 429 where there were too many */
  readonly count: (request: FastifyRequest) => Promise<void>;
  /**
   * Counts one of a stranger, apart: on loopback all have one address, and any page in a browser, or any user of the
   * machine, could use up what is there for those who have a token.
   * @throws HttpError 429 where there were too many
   */
  readonly countStranger: (request: FastifyRequest) => Promise<void>;
  /** Counts a failed try of this client. @throws HttpError 429 where there were too many */
  readonly countFailure: (request: FastifyRequest) => Promise<void>;
}

const SAFE = ['GET', 'HEAD', 'OPTIONS'];

/** A hook for `onRequest`. */
export function guard({ tokens, sessions, isOurHost, count, countStranger, countFailure }: GuardParts) {
  return async (request: FastifyRequest): Promise<void> => {
    if (!isOurHost(request.headers.host)) {
      throw new HttpError(421, 'this server is not addressed by this name; CAPE_HTTP_HOSTS can name it');
    }
    const access = accessOf(request);
    const bearer = bearerOf(request.headers.authorization);
    const cookie = cookieOf(request);
    request.role = roleOf(request, tokens, sessions);
    if (!request.routeOptions.config.uncounted) await (request.role === null ? countStranger : count)(request);
    // Whatever is changed for a browser, also a login: no page of another origin may do it.
    if (bearer === null && !SAFE.includes(request.method)) refuseForeign(request);
    if (access === 'public') return;
    if (request.role === null) {
      if (bearer !== null || cookie !== null) await countFailure(request);
      throw unauthorized(bearer !== null || cookie !== null);
    }
    if (access === 'write' && request.role !== 'write') throw new HttpError(403, 'this token may only read');
  };
}

/** By its token, else by its session. */
export function roleOf(request: FastifyRequest, tokens: Tokens, sessions: Sessions): Role | null {
  const bearer = bearerOf(request.headers.authorization);
  const cookie = cookieOf(request);
  return bearer === null ? (cookie && sessions.roleOf(cookie)) || null : tokens.roleOf(bearer);
}

function accessOf(request: FastifyRequest): Access {
  const { access } = request.routeOptions.config;
  return access ?? (SAFE.includes(request.method) ? 'read' : 'write');
}

/** Null also for another scheme: a name and password that were for a proxy. */
function bearerOf(header: string | undefined): string | null {
  if (header === undefined || !/^Bearer( |$)/i.test(header)) return null;
  return /^Bearer +(\S+)$/i.exec(header)?.[1] ?? '';
}

/**
 * With the port that the browser has asked: cookies are of a host, whichever the port, and of two servers on one host each
 * would log the other's browsers out.
 */
export function cookieName({ headers: { host = '' } }: FastifyRequest): string {
  return `cape_session_${/:(\d{1,5})$/.exec(host)?.[1] ?? '80'}`;
}

export function cookieOf(request: FastifyRequest): string | null {
  const header = request.headers.cookie;
  return header === undefined ? null : (cookies.parse(header)[cookieName(request)] ?? null);
}

function unauthorized(shown: boolean): HttpError {
  const detail = shown ? 'this token or session is not known here' : 'needs a token: Authorization: Bearer <token>';
  return new HttpError(401, detail, { 'www-authenticate': 'Bearer realm="cape-worker"' });
}

/** Of a cookie alone nobody knows which page sent it. */
function refuseForeign(request: FastifyRequest): void {
  const { origin, host } = request.headers;
  const site = request.headers['sec-fetch-site'];
  const isForeign = site !== undefined && site !== 'same-origin' && site !== 'none';
  const isElsewhere = origin !== undefined && originHost(origin) !== host;
  if (isForeign || isElsewhere) throw new HttpError(403, 'a page of another origin may change nothing here');
  if (request.headers[WRITE_HEADER] !== '1')
    throw new HttpError(403, 'needs the header X-Cape-Request: 1, or a token instead of a cookie');
}

function originHost(origin: string): string | null {
  try {
    return new URL(origin).host;
  } catch {
    return null; // "null" of a sandboxed frame, too
  }
}

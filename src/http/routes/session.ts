/** Browsers log in with a token or with a link that works once, and get a cookie that is neither. */
import * as cookies from 'cookie';
import type { FastifyReply, FastifyRequest } from 'fastify';
import * as z from 'zod';
import type { ApiToken, Role } from '../../core/values.js';
import { programVersion } from '../../db/migration-files.js';
import type { App } from '../app.js';
import { problems } from '../app.js';
import { cookieName, cookieOf } from '../guard.js';
import { HttpError } from '../problems.js';
import { loginBody, meSchema, statusSchema } from '../schemas.js';
import { type LoginLink, SESSION_SECONDS } from '../tokens.js';

const tags = ['session'];

export function registerSessions(app: App, link: LoginLink | null): void {
  const { tokens, sessions, countFailure } = app.cape;
  const version = programVersion();

  const logIn = (request: FastifyRequest, reply: FastifyReply, token: ApiToken) =>
    reply.header('set-cookie', setCookie(cookieName(request), sessions.open(token), SESSION_SECONDS));

  app.post(
    '/api/login',
    {
      // Failures are counted, and a right token is never turned away.
      config: { access: 'public', uncounted: true },
      // From anybody: a token, and not what the other routes take.
      bodyLimit: 4096,
      schema: {
        tags,
        summary: 'Log a browser in: sets a cookie of this site alone',
        body: loginBody,
        response: { 200: meSchema, ...problems(413, 415) },
      },
    },
    async (request, reply) => {
      const token = tokens.find(request.body.token);
      if (token === null) {
        await countFailure(request);
        throw new HttpError(401, 'this token is not known here');
      }
      logIn(request, reply, token);
      return { role: token.role, version };
    },
  );

  app.get(
    '/login',
    {
      config: { access: 'public', uncounted: true },
      // HEAD would use it up: a chat program that looks what is behind a link.
      exposeHeadRoute: false,
      schema: {
        tags,
        summary: 'Log in by the link that was printed at the start: once',
        querystring: z.object({ once: z.string().max(200).optional() }),
        response: { 303: z.null().meta({ description: 'To the page' }), ...problems() },
      },
    },
    async (request, reply) => {
      const { once } = request.query;
      if (once !== undefined) {
        if (!link?.use(once)) {
          await countFailure(request);
          throw new HttpError(401, 'this link was used already, or is too old; start the server again for a new one');
        }
        logIn(request, reply, link.token);
      }
      // Relative: below the path of a proxy, `/` is somebody else.
      return reply.code(303).header('location', './').send(null);
    },
  );

  app.post(
    '/api/logout',
    {
      config: { access: 'read' },
      schema: { tags, summary: 'End the session', response: { 200: statusSchema, ...problems() } },
    },
    async (request, reply) => {
      const cookie = cookieOf(request);
      if (cookie !== null) sessions.close(cookie);
      reply.header('set-cookie', setCookie(cookieName(request), '', 0));
      return { status: 'logged out' };
    },
  );

  app.get(
    '/api/me',
    { schema: { tags, summary: 'What this token or session may', response: { 200: meSchema, ...problems() } } },
    async (request) => ({ role: request.role as Role, version }),
  );
}

/** Without `Secure`: on this machine it is served without TLS. Strict: no other site's link or form brings it along. */
function setCookie(name: string, value: string, maxAge: number): string {
  return cookies.serialize(name, value, { httpOnly: true, sameSite: 'strict', path: '/', maxAge });
}

/** The application: what every request passes, and the routes. */

import helmet from '@fastify/helmet';
import rateLimit from '@fastify/rate-limit';
import Fastify, { type FastifyReply, type FastifyRequest } from 'fastify';
import { serializerCompiler, validatorCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod';
import { messageOf } from '../core/errors.js';
import type { ApiToken, Role } from '../core/values.js';
import type { EventFeed } from '../events/feed.js';
import type { Log } from '../log.js';
import type { App } from './app.js';
import { registerAssets } from './assets.js';
import { guard, roleOf } from './guard.js';
import { hostCheck } from './hosts.js';
import { inFlight } from './in-flight.js';
import type { Metrics } from './metrics.js';
import { describeApi, registerDocument } from './openapi.js';
import { answerTo, HttpError, PROBLEM_TYPE } from './problems.js';
import { registerChanges } from './routes/changes.js';
import { registerEvents } from './routes/events.js';
import { registerHealth } from './routes/health.js';
import { registerIssues } from './routes/issues.js';
import { registerNumbers } from './routes/numbers.js';
import { registerOutput } from './routes/output.js';
import { registerSessions } from './routes/session.js';
import { registerWorkers } from './routes/workers.js';
import type { Streams } from './sse.js';
import type { Store } from './store.js';
import { type LoginLink, Sessions, Tokens } from './tokens.js';
import { knowRoutes, refuseUnknown } from './unknown.js';

/** Of a request: a thousand issues with some KiB of text each. */
const BODY_LIMIT = 16 * 1024 * 1024;
/** Failed tries of a client in a minute. A token of 16 characters is not guessed at ten times this rate either. */
const FAILURES = 30;
/** For answers that are under way when the server ends, milliseconds. */
const ANSWERS_MS = 500;

export interface AppParts {
  readonly host: string;
  readonly hosts: readonly string[];
  readonly rate: number;
  readonly tokens: readonly ApiToken[];
  readonly link: LoginLink | null;
  readonly store: Store;
  readonly feed: EventFeed;
  readonly metrics: Metrics;
  readonly streams: Streams;
  readonly log: Log;
}

/** Everything but the port. */
export async function buildApp(parts: AppParts): Promise<App> {
  const app = Fastify({
    bodyLimit: BODY_LIMIT,
    // A page that is left open must not keep the process. 'idle', and closing them ourselves, leaves those of the second
    // server that Fastify opens for `localhost`.
    forceCloseConnections: true,
    routerOptions: { maxParamLength: 200 },
    requestTimeout: 60_000,
    // What is no URL or no HTTP at all has no route and no hook.
    frameworkErrors: (error, _request, reply) => void answer(reply as FastifyReply, error, parts.log),
  }).withTypeProvider<ZodTypeProvider>() as unknown as App;
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  app.decorateRequest('role', null);
  app.setErrorHandler((error, _request, reply) => answer(reply, error, parts.log));
  const answered = inFlight(app);
  await protect(app, parts);
  await describeApi(app);
  await registerRoutes(app, parts);
  app.addHook('preClose', async () => {
    parts.streams.close();
    await answered(ANSWERS_MS);
  });
  app.addHook('onClose', async () => {
    await Promise.all([parts.feed.close(), parts.store.close()]);
  });
  return app;
}

async function protect(app: App, { tokens, host, hosts, rate }: AppParts): Promise<void> {
  await app.register(helmet, {
    contentSecurityPolicy: { useDefaults: false, directives: CSP },
    crossOriginResourcePolicy: { policy: 'same-origin' },
    // Served without TLS as a rule; who puts a proxy in front sets it there.
    strictTransportSecurity: false,
    referrerPolicy: { policy: 'no-referrer' },
  });
  // Not by its own hook, which would come after ours: what is refused for its token is to be counted too.
  await app.register(rateLimit, { global: false });
  const known = new Tokens(tokens);
  const sessions = new Sessions(known);
  const countFailure = counter(app, FAILURES);
  app.decorate('cape', {
    tokens: known,
    sessions,
    countFailure,
    roleOf: (request: FastifyRequest) => roleOf(request, known, sessions),
  });
  const count = counter(app, rate);
  const countStranger = counter(app, rate);
  const isOurHost = hostCheck(host, hosts);
  app.addHook('onRequest', guard({ tokens: known, sessions, isOurHost, count, countStranger, countFailure }));
  app.addHook('onSend', async (_request, reply) => {
    // What is told to one who has a token stays with that one. The page's own files say otherwise themselves.
    if (!reply.hasHeader('cache-control')) reply.header('cache-control', 'no-store');
  });
}

/** Counts requests of a client, by its address. */
function counter(app: App, max: number): (request: FastifyRequest) => Promise<void> {
  const look = app.createRateLimit({ max, timeWindow: 60_000 });
  return async (request) => {
    const count = await look(request);
    if (count.isAllowed || !count.isExceeded) return;
    const seconds = String(count.ttlInSeconds);
    throw new HttpError(429, `too many requests; try again in ${seconds} s`, { 'retry-after': seconds });
  };
}

declare module 'fastify' {
  interface FastifyInstance {
    cape: {
      readonly tokens: Tokens;
      readonly sessions: Sessions;
      readonly countFailure: (request: FastifyRequest) => Promise<void>;
      readonly roleOf: (request: FastifyRequest) => Role | null;
    };
  }
}

const CSP = {
  'default-src': ["'none'"],
  'script-src': ["'self'"],
  'style-src': ["'self'"],
  'img-src': ["'self'", 'data:'],
  'font-src': ["'self'"],
  'connect-src': ["'self'"],
  'manifest-src': ["'self'"],
  'base-uri': ["'none'"],
  'form-action': ["'self'"],
  'frame-ancestors': ["'none'"],
};

async function registerRoutes(app: App, parts: AppParts): Promise<void> {
  const known = knowRoutes(app);
  registerHealth(app, parts.store);
  registerSessions(app, parts.link);
  registerIssues(app, parts.store);
  registerChanges(app, parts.store);
  registerWorkers(app, parts.store);
  registerNumbers(app, parts.store, parts.metrics);
  registerOutput(app, parts.store);
  registerEvents(app, parts);
  registerDocument(app);
  await registerAssets(app);
  app.setNotFoundHandler(refuseUnknown(known));
}

function answer(reply: FastifyReply, error: unknown, log: Log) {
  const { problem, headers, bug } = answerTo(error);
  if (bug) log.error(`http: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  else if (problem.status >= 500) log.warn(`http: ${messageOf(error)}`);
  return reply
    .code(problem.status)
    .headers({ 'cache-control': 'no-store', ...headers })
    .type(PROBLEM_TYPE)
    .serializer(JSON.stringify)
    .send(problem);
}

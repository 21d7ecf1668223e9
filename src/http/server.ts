/** The HTTP server: what every request passes, the routes, and an end that does not wait for readers. */

import type { AddressInfo } from 'node:net';
import helmet from '@fastify/helmet';
import rateLimit from '@fastify/rate-limit';
import Fastify, { type FastifyReply, type FastifyRequest } from 'fastify';
import { serializerCompiler, validatorCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod';
import { CapeError, messageOf } from '../core/errors.js';
import type { ApiToken, Role } from '../core/values.js';
import { type EventFeed, openFeed } from '../events/feed.js';
import type { Log } from '../log.js';
import type { WorkerObserver } from '../worker/observer.js';
import type { App } from './app.js';
import { registerAssets } from './assets.js';
import { guard, roleOf } from './guard.js';
import { hostCheck, isLoopback } from './hosts.js';
import { createMetrics, type Metrics } from './metrics.js';
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
import { Streams, type StreamsOptions } from './sse.js';
import { openStore, type Store } from './store.js';
import { LoginLink, newToken, Sessions, Tokens } from './tokens.js';

export interface ServerOptions {
  readonly databaseUrl: string;
  readonly schema: string;
  readonly host: string;
  /** 0: any that is free. */
  readonly port: number;
  /** undefined, on loopback: one is made, and a link that logs in with it. */
  readonly tokens: readonly ApiToken[] | undefined;
  /** Names besides its own by which it may be addressed. */
  readonly hosts: readonly string[];
  /** Requests that a client may make in a minute. */
  readonly rate: number;
  readonly log: Log;
  /** Where LISTEN works, if not by `databaseUrl`. */
  readonly listenUrl?: string | undefined;
  /** Of streams, milliseconds; for tests. */
  readonly streams?: StreamsOptions;
}

export interface HttpServer {
  /** `http://127.0.0.1:7070` */
  readonly url: string;
  /** Works once; null where tokens were given. */
  readonly loginUrl: string | null;
  /** For a worker of this process: counts what happens in it for `/metrics`. */
  readonly observer: WorkerObserver;
  /** How many streams of events are read. */
  streams(): number;
  /** Ends it within a second, whoever still reads. */
  close(): Promise<void>;
}

/** Of a request: a thousand issues with some KiB of text each. */
const BODY_LIMIT = 16 * 1024 * 1024;
/** Failed tries of a client in a minute. A token of 16 characters is not guessed at ten times this rate either. */
const FAILURES = 30;
const CLOSE_MS = 700;

/**
 * Starts serving.
 * @throws CapeError `config` where everybody who reaches the port could use it, or the port can't be had
 */
export async function openServer(options: ServerOptions): Promise<HttpServer> {
  const { host, port, log } = options;
  if (options.tokens === undefined && !isLoopback(host)) {
    const why = 'others than this machine can reach it, and CAPE_API_TOKENS is not set';
    throw new CapeError('config', `http address: got "${host}"; ${why}: set it to write:<token> first`);
  }
  const tokens = options.tokens ?? [{ role: 'write', token: newToken() } as const];
  const link = options.tokens === undefined ? new LoginLink('write') : null;
  const { databaseUrl, listenUrl, schema } = options;
  const store = openStore(options);
  const feed = openFeed({ databaseUrl, listenUrl, schema, applicationName: 'cape-http events', log });
  const streams = new Streams(options.streams);
  const metrics = createMetrics();
  const app = await buildApp({ ...options, tokens, link, store, feed, metrics, open: streams });
  try {
    await app.listen({ host, port });
  } catch (error) {
    await app.close();
    throw notListening(error, host, port);
  }
  const url = urlOf(host, (app.server.address() as AddressInfo).port);
  log.info(`http: ${url} (API and page)`);
  return {
    url,
    loginUrl: link && `${url}/login?once=${link.code}`,
    observer: metrics.observer,
    streams: () => streams.count,
    close: () => closeApp(app),
  };
}

/** An address that means all of them is no place to go to. */
function urlOf(host: string, port: number): string {
  const name = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  return `http://${name.includes(':') ? `[${name}]` : name}:${port}`;
}

function notListening(error: unknown, host: string, port: number): CapeError {
  const { code } = error as NodeJS.ErrnoException;
  const why = code === 'EADDRINUSE' ? 'another program listens there' : messageOf(error);
  return new CapeError('config', `http address: got "${host}:${port}"; ${why}`, { cause: error });
}

interface AppParts extends Omit<ServerOptions, 'tokens'> {
  readonly tokens: readonly ApiToken[];
  readonly link: LoginLink | null;
  readonly store: Store;
  readonly feed: EventFeed;
  readonly metrics: Metrics;
  readonly open: Streams;
}

async function buildApp(parts: AppParts): Promise<App> {
  const app = Fastify({
    bodyLimit: BODY_LIMIT,
    // A page that is left open must not keep the process; the streams end themselves.
    forceCloseConnections: 'idle',
    routerOptions: { maxParamLength: 200 },
    requestTimeout: 60_000,
    // What is no URL or no HTTP at all has no route and no hook.
    frameworkErrors: (error, _request, reply) => void answer(reply as FastifyReply, error, parts.log),
  }).withTypeProvider<ZodTypeProvider>() as unknown as App;
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  app.decorateRequest('role', null);
  app.setErrorHandler((error, _request, reply) => answer(reply, error, parts.log));
  await protect(app, parts);
  await describeApi(app);
  await registerRoutes(app, parts);
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
  app.addHook('onRequest', guard({ tokens: known, sessions, isOurHost: hostCheck(host, hosts), count, countFailure }));
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
  registerEvents(app, { ...parts, streams: parts.open });
  app.addHook('preClose', async () => parts.open.close());
  registerDocument(app);
  await registerAssets(app);
  app.setNotFoundHandler(refuseUnknown(known));
}

/** 405 where another method would do, else 404. */
function refuseUnknown(known: readonly Known[]) {
  return async ({ url, method }: FastifyRequest): Promise<void> => {
    const path = url.split('?', 1)[0] as string;
    const allowed = [...new Set(known.filter(({ pattern }) => pattern.test(path)).flatMap(({ methods }) => methods))];
    if (allowed.length === 0 || allowed.includes(method)) throw new HttpError(404, 'there is nothing here');
    throw new HttpError(405, `${method} is not for this path`, { allow: allowed.join(', ') });
  };
}

interface Known {
  readonly pattern: RegExp;
  readonly methods: readonly string[];
}

/** Every route from here on. */
function knowRoutes(app: App): readonly Known[] {
  const known: Known[] = [];
  app.addHook('onRoute', ({ url, method }) => {
    const pattern = new RegExp(`^${url.replace(/[.*+?^$()|[\]\\]/g, '\\$&').replace(/:\w+/g, '[^/]+')}$`);
    known.push({ pattern, methods: [method].flat() });
  });
  return known;
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

async function closeApp(app: App): Promise<void> {
  const last = setTimeout(() => app.server.closeAllConnections(), CLOSE_MS);
  try {
    await app.close();
  } finally {
    clearTimeout(last);
  }
}

/** The HTTP server: from settings to a port, and an end that does not wait for readers. */

import type { AddressInfo } from 'node:net';
import { CapeError, messageOf } from '../core/errors.js';
import type { ApiToken } from '../core/values.js';
import { openFeed } from '../events/feed.js';
import type { Log } from '../log.js';
import type { WorkerObserver } from '../worker/observer.js';
import type { App } from './app.js';
import { buildApp } from './build-app.js';
import { isLoopback } from './hosts.js';
import { createMetrics, type Metrics } from './metrics.js';
import { Streams, type StreamsOptions } from './sse.js';
import { openStore } from './store.js';
import { LoginLink, newToken } from './tokens.js';

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
  /** What a worker counts in that was started before. Absent: `observer` of the server is for one that starts after it. */
  readonly metrics?: Metrics | undefined;
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
  /** Ends it within a second, whoever still reads; where the database does not answer, within some three. */
  close(): Promise<void>;
}

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
  const made: ApiToken = { role: 'write', token: newToken() };
  const tokens = options.tokens ?? [made];
  const link = options.tokens === undefined ? new LoginLink(made) : null;
  const { databaseUrl, listenUrl, schema } = options;
  const store = openStore(options);
  const feed = openFeed({ databaseUrl, listenUrl, schema, applicationName: 'cape-http events', log });
  const streams = new Streams(options.streams);
  const { metrics = createMetrics() } = options;
  const app = await buildApp({ ...options, tokens, link, store, feed, metrics, streams });
  try {
    await app.listen({ host, port });
  } catch (error) {
    await app.close();
    throw notListening(error, host, port);
  }
  // Such as a connection that can't be accepted (EMFILE). Nobody listening, it would end the worker of this process.
  app.server.on('error', (error) => log.error(`http: ${messageOf(error)}`));
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

async function closeApp(app: App): Promise<void> {
  const last = setTimeout(() => app.server.closeAllConnections(), CLOSE_MS);
  try {
    await app.close();
  } finally {
    clearTimeout(last);
  }
}

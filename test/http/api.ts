/** A real server on a real database, and requests to it as programs and browsers make them. */
import { request } from 'node:http';
import { afterAll } from 'vitest';
import { type HttpServer, openServer, type ServerOptions } from '../../src/http/server.js';
import type { Log } from '../../src/log.js';
import type { TestDatabase } from '../support/database.js';

export const WRITE = 'write-token-0123456789';
export const READ = 'read-token-0123456789';
export const TOKENS = [
  { role: 'write', token: WRITE },
  { role: 'read', token: READ },
] as const;

const open: HttpServer[] = [];

afterAll(async () => {
  await Promise.all(open.splice(0).map((server) => server.close()));
});

export interface TestApi {
  readonly server: HttpServer;
  readonly url: string;
  /** What the server has said. */
  readonly said: string[];
  /** Asks with the token that may write, unless `headers` say otherwise. A body that is no text goes as JSON. */
  ask(method: string, path: string, options?: AskOptions): Promise<Answer>;
}

export interface AskOptions {
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** null: none. */
  readonly token?: string | null;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into it as they please
  readonly body: any;
}

export async function serveApi({ url, schema }: TestDatabase, options: Partial<ServerOptions> = {}): Promise<TestApi> {
  const said: string[] = [];
  const say = (line: string) => void said.push(line);
  const log: Log = { error: say, warn: say, info: say, debug: say };
  const server = await openServer({
    ...{ databaseUrl: url, schema, host: '127.0.0.1', port: 0, tokens: TOKENS, hosts: [], rate: 100_000, log },
    ...options,
  });
  open.push(server);
  return {
    server,
    url: server.url,
    said,
    async ask(method, path, { body, headers = {}, token = WRITE } = {}) {
      const response = await fetch(server.url + path, {
        method,
        redirect: 'manual',
        headers: {
          ...(token === null ? {} : { authorization: `Bearer ${token}` }),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      });
      const text = await response.text();
      const isJson = /json/.test(response.headers.get('content-type') ?? '');
      return {
        status: response.status,
        headers: response.headers,
        text,
        body: isJson && text !== '' ? JSON.parse(text) : null,
      };
    },
  };
}

/** With headers and paths that fetch would not send: Host, and dots in a path. */
export function rawRequest(url: string, options: { method?: string; path: string; headers: Record<string, string> }) {
  return new Promise<{ status: number; text: string; headers: Record<string, unknown> }>((resolve, reject) => {
    const { port, hostname } = new URL(url);
    const sent = request({ hostname, port, method: 'GET', ...options }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text, headers: response.headers }));
    });
    sent.on('error', reject).end();
  });
}

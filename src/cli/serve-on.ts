/** The HTTP server of `serve` and of `run --http`, from settings. */
import type { LoadedConfig } from '../config.js';
import { address, DEFAULT_ADDRESS, whole } from '../core/values.js';
import type { HttpServer } from '../http/server.js';
import type { Log } from '../log.js';
import type { OpenDatabase } from './database.js';
import { checked } from './values.js';

/**
 * Starts it, and says where it is and how to log in.
 * @param flags what goes before the setting
 * @throws CapeError where it can't listen there, or others than this machine could use it without a token
 */
export async function serveOn(
  { url: databaseUrl, schema }: OpenDatabase,
  { config }: LoadedConfig,
  log: Log,
  flags: { readonly host?: string; readonly port?: string } = {},
): Promise<HttpServer> {
  const set = config.http ?? DEFAULT_ADDRESS;
  const host = flags.host === undefined ? set.host : checked('--host', address, bracketed(flags.host)).host;
  const port = flags.port === undefined ? set.port : checked('--port', whole(0, 65_535), flags.port);
  // In the built program a file of its own: those who serve nothing need not load it.
  const { openServer } = await import('../http/server.js');
  const server = await openServer({
    databaseUrl,
    listenUrl: config.listenUrl,
    schema,
    host,
    port,
    tokens: config.apiTokens,
    hosts: config.httpHosts,
    rate: config.httpRate,
    log,
  });
  if (server.loginUrl !== null) {
    log.info(`http: open this to log in; it works once, within 10 minutes: ${server.loginUrl}`);
    log.info('http: for programs set CAPE_API_TOKENS, such as write:<token>; this one ends with the process');
  }
  return server;
}

/** `::1` alone, as people write it where no port follows. */
function bracketed(host: string): string {
  return host.includes(':') && !host.startsWith('[') ? `[${host}]` : host;
}

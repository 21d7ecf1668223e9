/** `demo --web`: the page on the demo's own database. */
import { spawn } from 'node:child_process';
import { silent } from '../log.js';

export interface DemoPage {
  readonly url: string;
  close(): Promise<void>;
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Serves the page, says how to log in, and opens it where somebody sits at a terminal.
 * @throws CapeError where it can't be served
 */
export async function openDemoPage(
  databaseUrl: string,
  schema: string,
  environment: Environment,
  say: (line: string) => void,
): Promise<DemoPage> {
  // In the built program a file of its own: the demo without a page need not load it.
  const { openServer } = await import('../http/server.js');
  const server = await openServer({
    ...{ databaseUrl, schema, host: '127.0.0.1', port: 0, tokens: undefined, hosts: [], rate: 10_000 },
    log: { ...silent, error: say, warn: say },
  });
  const link = server.loginUrl as string;
  say(`The page: open this to log in; it works once, within 10 minutes: ${link}`);
  if (process.stdout.isTTY) openBrowser(link, environment);
  return server;
}

/** Best effort: the link stands above. Its argument is our own link, and no shell reads it. */
function openBrowser(link: string, environment: Environment): void {
  const isMac = process.platform === 'darwin';
  // Without a screen xdg-open would start a browser in this terminal.
  if (!isMac && !environment.DISPLAY && !environment.WAYLAND_DISPLAY) return;
  const child = spawn(isMac ? 'open' : 'xdg-open', [link], { stdio: 'ignore', detached: true, env: environment });
  child.on('error', () => {}); // there is none
  child.unref();
}

/** The worker's ear: LISTEN where it passes, and a line in the log where it does not. */
import { type Config, SETTINGS } from '../config.js';
import { CapeError, messageOf } from '../core/errors.js';
import { durationName } from '../core/values.js';
import { type Hearing, type Listener, type ListenHandlers, listen } from '../db/listen.js';
import { parseUrl } from '../db/url.js';
import type { Log } from '../log.js';

const SETTING = SETTINGS.listenUrl.env;

/**
 * A typo in the URL is found before a worker registers, not by its listening in vain.
 * @throws CapeError('config') that names the setting
 */
export function checkListenUrl({ listenUrl }: Config): void {
  if (listenUrl === undefined) return;
  try {
    parseUrl(listenUrl);
  } catch (error) {
    throw new CapeError('config', `${SETTING}: ${messageOf(error)}`);
  }
}

/** Where notifications are listened for, and where they are said. */
export function whereToListen({ listenUrl }: Config, databaseUrl: string): { url: string; speakUrl?: string } {
  return listenUrl === undefined ? { url: databaseUrl } : { url: listenUrl, speakUrl: databaseUrl };
}

/** Listens for new issues and cancels. Without LISTEN everything works, later: whether it passes is said once. */
export function startListening(
  { config, databaseUrl, workerId, log }: { config: Config; databaseUrl: string; workerId: string; log: Log },
  on: Pick<ListenHandlers, 'notify' | 'listening'>,
): Listener {
  const past = config.listenUrl !== undefined;
  let deaf = false;
  const changed = (hearing: Hearing) => {
    const trouble = hearing.hears ? null : whyDeaf(hearing, past);
    if (trouble !== null) log.warn(`${trouble}; polling every ${durationName(config.pollInterval)}`);
    else if (hearing.hears && deaf) log.info('notifications are heard again');
    else if (hearing.hears && past) log.info(`notifications are heard through ${SETTING}`);
    deaf = trouble !== null;
  };
  const options = { ...whereToListen(config, databaseUrl), applicationName: `cape-worker ${workerId} listen` };
  return listen(options, 'cape_issues', { ...on, changed });
}

/** @returns null where there is nothing to say: a database that is away is reported by those who need it */
export function whyDeaf({ why }: { readonly why: string | null }, past: boolean): string | null {
  if (past) {
    return why === null
      ? `${SETTING}: what is said through DATABASE_URL is not heard there; it leads to another database, or through a pooler`
      : `${SETTING}: no notifications from there (${why})`;
  }
  if (why !== null) return null;
  return `notifications do not pass (a pooler in transaction mode?); ${SETTING} may lead past it`;
}

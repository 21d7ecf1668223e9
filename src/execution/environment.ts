/** The environment of a command: what it needs to work, and nothing of the worker's own. */

const ALLOWED = new Set(
  `PATH HOME USER LOGNAME SHELL LANG LANGUAGE TZ TMPDIR SSH_AUTH_SOCK
  HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY http_proxy https_proxy all_proxy no_proxy
  NODE_EXTRA_CA_CERTS SSL_CERT_FILE SSL_CERT_DIR
  GIT_AUTHOR_NAME GIT_AUTHOR_EMAIL GIT_COMMITTER_NAME GIT_COMMITTER_EMAIL GIT_SSH GIT_SSH_COMMAND`.split(/\s+/),
);
const ALLOWED_PREFIX = /^(LC|XDG)_/;

/** The service manager's words to the worker: a command that used them would speak in its name. */
const NEVER =
  /^(NOTIFY_SOCKET|WATCHDOG_.*|LISTEN_(PID|FDS|FDNAMES)|JOURNAL_STREAM|INVOCATION_ID|CREDENTIALS_DIRECTORY|CAPE_(RUN|KEEPER))$/;

/** The worker's own settings and secrets: passed only where each is named in full, never by a pattern. */
const BY_NAME_ONLY = /^(DATABASE_URL|PG.*|CAPE_.*|NODE_OPTIONS)$/;

/**
 * Picks what a command gets of an environment.
 * @param passEnv further variables, by name or as `PREFIX_*`
 */
export function childEnvironment(
  environment: Readonly<Record<string, string | undefined>>,
  passEnv: readonly string[],
): Record<string, string> {
  const names = new Set(passEnv.filter((entry) => !entry.endsWith('*')));
  const prefixes = passEnv.filter((entry) => entry.endsWith('*')).map((entry) => entry.slice(0, -1));
  const passes = (name: string) => {
    if (NEVER.test(name)) return false;
    if (names.has(name) || ALLOWED.has(name) || ALLOWED_PREFIX.test(name)) return true;
    return !BY_NAME_ONLY.test(name) && prefixes.some((prefix) => name.startsWith(prefix));
  };
  const picked: Record<string, string> = { TERM: 'dumb' }; // there is no terminal
  for (const [name, value] of Object.entries(environment))
    if (value !== undefined && passes(name)) picked[name] = value;
  return picked;
}

/** Whether two URLs lead to the same database, or to the same server. Pure. */

/** But for the password: one that was changed since is known to the env file alone. */
export function isSameDatabase(named: string, ours: string): boolean {
  if (!URL.canParse(named) || !URL.canParse(ours)) return false;
  const parts = (url: URL) => [url.hostname, url.port, url.pathname, url.username].join(' ');
  return parts(new URL(named)) === parts(new URL(ours));
}

/** Whichever role: the same issues. True also where it can't be told, as with several servers. */
export function isSameQueue(one: string, other: string): boolean {
  if (!URL.canParse(one) || !URL.canParse(other)) return true;
  return isSameServer(one, other) && new URL(one).pathname === new URL(other).pathname;
}

/** Whichever database and role: what is removed with a server is all that it holds. */
export function isSameServer(one: string, other: string): boolean {
  if (!URL.canParse(one) || !URL.canParse(other)) return false;
  return serverOf(new URL(one)) === serverOf(new URL(other));
}

function serverOf({ hostname, port }: URL): string {
  return `${/^(localhost|127\.0\.0\.1|\[::1\])$/.test(hostname) ? 'localhost' : hostname} ${port || 5432}`;
}

/**
 * Where the reader is: `#/issues/12?attempt=2`. Behind the `#`, since the server then has one page to serve, and the whole
 * works below any path of a proxy.
 */
import { computed, signal } from '@preact/signals';

export interface Route {
  readonly path: readonly string[];
  readonly query: URLSearchParams;
}

const hash = signal(location.hash);
window.addEventListener('hashchange', () => {
  hash.value = location.hash;
});

export const route = computed<Route>(() => parse(hash.value));

function parse(text: string): Route {
  const [path = '', query = ''] = text.replace(/^#\/?/, '').split('?', 2);
  return { path: path.split('/').filter(Boolean).map(decode), query: new URLSearchParams(query) };
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** The address of a place in this page, for a link. What is empty is left out of the query. */
export function to(path: string, query: Readonly<Record<string, string | undefined>> = {}): string {
  const given = Object.entries(query).filter((pair): pair is [string, string] => Boolean(pair[1]));
  const search = new URLSearchParams(given).toString();
  return `#${path}${search === '' ? '' : `?${search}`}`;
}

export function go(address: string): void {
  location.hash = address;
}

/** Changes the address in place: a filter that is typed must not fill the history. */
export function replace(address: string): void {
  history.replaceState(null, '', address);
  hash.value = location.hash;
}

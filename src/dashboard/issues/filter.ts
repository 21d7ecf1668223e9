/** Which issues are listed. It is in the address, so that a list can be sent to somebody. */
import { type Issue, STATUSES, type Status } from '../api/types.js';

export interface Filter {
  readonly statuses: readonly Status[];
  readonly worker: string;
  readonly search: string;
}

export function filterOf(query: URLSearchParams): Filter {
  const asked = (query.get('status') ?? '').split(',');
  return {
    statuses: STATUSES.filter((status) => asked.includes(status)),
    worker: query.get('worker') ?? '',
    search: query.get('search') ?? '',
  };
}

export function queryOf(filter: Filter): Record<string, string> {
  return { status: filter.statuses.join(','), worker: filter.worker, search: filter.search };
}

export function isEmpty({ statuses, worker, search }: Filter): boolean {
  return statuses.length === 0 && worker === '' && search === '';
}

/** As the server's own filter: for issues that were read one by one. */
export function matches(issue: Issue, { statuses, worker, search }: Filter): boolean {
  return (
    (statuses.length === 0 || (statuses as readonly string[]).includes(issue.status)) &&
    (worker === '' || issue.assigned_worker_id === worker || issue.target_worker_id === worker) &&
    (search === '' || issue.description_cut === true || issue.description.toLowerCase().includes(search.toLowerCase()))
  );
}

export const PAGE = 50;

export function pathOf(filter: Filter, cursor: string | null): string {
  const query = new URLSearchParams({ limit: String(PAGE), summary: 'true' });
  for (const [name, value] of Object.entries(queryOf(filter))) if (value !== '') query.set(name, value);
  if (cursor !== null) query.set('cursor', cursor);
  return `api/issues?${query}`;
}

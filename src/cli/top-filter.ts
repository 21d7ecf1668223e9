/** What is typed behind `/`: words of the text, and `is:failed`, `on:worker` and `#7` in any order. */
import type { ListFilter } from '../client.js';
import { type Issue, STATUSES, type Status } from '../core/issue.js';

export interface Filter extends Pick<ListFilter, 'search' | 'worker'> {
  readonly status?: readonly Status[] | undefined;
  /** One issue, by its id. */
  readonly id?: number | undefined;
}

/** Never throws: what is no condition is searched for. */
export function filterOf(text: string): Filter {
  const status: Status[] = [];
  const words: string[] = [];
  let worker: string | undefined;
  let id: number | undefined;
  for (const word of text.split(/\s+/).filter(Boolean)) {
    const [, key, value = ''] = /^(is:|on:|#)(.+)$/.exec(word) ?? [];
    const named = STATUSES.filter((one) => one.startsWith(value));
    if (key === 'is:' && named.length > 0) status.push(...named);
    else if (key === 'on:') worker = value;
    else if (key === '#' && /^\d{1,10}$/.test(value) && Number(value) <= 2_147_483_647) id = Number(value);
    else words.push(word);
  }
  return {
    status: status.length > 0 ? status : undefined,
    search: words.length > 0 ? words.join(' ') : undefined,
    worker,
    id,
  };
}

/** As the database judges it, for an issue that was read by its id. */
export function matches(filter: Filter, issue: Issue): boolean {
  const { status, search, worker, id } = filter;
  if (id !== undefined && id !== issue.id) return false;
  if (status && !status.includes(issue.status)) return false;
  if (worker && worker !== issue.assigned_worker_id && worker !== issue.target_worker_id) return false;
  return search === undefined || issue.description.toLowerCase().includes(search.toLowerCase());
}

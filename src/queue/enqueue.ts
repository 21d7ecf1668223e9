/** Puts issues into the queue. Any client may insert for itself; this adds checks, keys and delays. */
import { CapeError } from '../core/errors.js';
import type { Queryable } from '../db/connect.js';
import type { NewIssue } from './new-issue.js';

// `on conflict do nothing` also where the other issue with the key is not committed yet: the insert waits for it.
// Times count from the database's clock; a time already past must not park the row, which costs it a tick.
const INSERT = `
  insert into cape_issues (description, priority, assigned_worker_id, target_worker_id,
                           max_attempts, timeout_seconds, run_at, key)
  select n.description, coalesce(n.priority, 0), n.worker, n.worker, n.max_attempts, n.timeout_seconds,
         case when n.run_at > now() then n.run_at
              when n.delay_ms > 0 then now() + n.delay_ms * interval '1 millisecond' end,
         n.key
    from rows from (json_to_recordset($1::text::json) as (
           description text, priority smallint, worker text, max_attempts smallint, timeout_seconds int,
           run_at timestamptz, delay_ms float8, key text))
         with ordinality as n(description, priority, worker, max_attempts, timeout_seconds, run_at, delay_ms, key, place)
   order by n.place
  on conflict (key) where key is not null and status in ('pending', 'started') do nothing
  returning id, key`;

const UNFINISHED = `
  select id, key from cape_issues
   where key is not null and status in ('pending', 'started')
     and key in (select json_array_elements_text($1::text::json))`;

/** The one that has a key may end between our insert and our look: then there is room for ours. */
const TRIES = 10;

/**
 * Inserts issues in one statement, in their order.
 * @returns their ids in the same order; for an issue whose key an unfinished one has, the id of that one
 */
export async function enqueue(db: Queryable, issues: readonly NewIssue[]): Promise<number[]> {
  const ids: (number | undefined)[] = issues.map(() => undefined);
  for (let tries = 0; tries < TRIES; tries++) {
    const places = [...issues.keys()].filter((place) => ids[place] === undefined);
    if (places.length === 0) return ids as number[];
    const rows = places.map((place) => row(issues[place] as NewIssue));
    const inserted = await db.query<{ id: number; key: string | null }>(INSERT, [JSON.stringify(rows)]);
    // Rows come back in the order of insertion, so those without a key are told apart by their place.
    const keyless = inserted.filter(({ key }) => key === null).map(({ id }) => id);
    const keyed = await withUnfinished(db, inserted, rows);
    for (const place of places) {
      const key = issues[place]?.key;
      ids[place] = key === undefined ? keyless.shift() : keyed.get(key);
    }
  }
  throw new CapeError('refused', `key: issues with it came and went ${TRIES} times in a row; try again`);
}

/** Ids by key: of what was inserted, and of the unfinished issues that were in the way. */
async function withUnfinished(
  db: Queryable,
  inserted: readonly { id: number; key: string | null }[],
  rows: readonly { key: string | undefined }[],
): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  for (const { id, key } of inserted) if (key !== null) found.set(key, id);
  const others = rows.map(({ key }) => key).filter((key) => key !== undefined && !found.has(key));
  if (others.length === 0) return found;
  const unfinished = await db.query<{ id: number; key: string }>(UNFINISHED, [JSON.stringify(others)]);
  for (const { id, key } of unfinished) found.set(key, id);
  return found;
}

function row(issue: NewIssue) {
  return {
    description: issue.description,
    priority: issue.priority,
    worker: issue.worker,
    max_attempts: issue.maxAttempts,
    timeout_seconds: issue.timeoutSeconds,
    run_at: issue.runAt?.toISOString(),
    delay_ms: issue.delayMs,
    key: issue.key,
  };
}

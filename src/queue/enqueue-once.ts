/** Queues issues once for each key that a client has chosen, however often it asks. */
import type { Database } from '../db/connect.js';
import { enqueue } from './enqueue.js';
import { checkNewIssue, type NewIssue } from './new-issue.js';

export interface Once {
  /** Chosen by the client. */
  readonly key: string;
  /** What the issues were made from, in short: another one with the same key is refused. */
  readonly digest: string;
}

/** Hours that an answer is kept, and old ones that a request removes: they become fewer, though others add some. */
const KEPT_HOURS = 24;
const PRUNED = 20;

// A second request with the key waits here until the first has committed, and then finds its answer.
const TAKE = `
  insert into cape_requests (key, digest) values ($1, $2)
  on conflict (key) do update set digest = excluded.digest, ids = '{}', at = now()
   where cape_requests.at < now() - ${KEPT_HOURS} * interval '1 hour'
  returning key`;

const PRUNE = `
  delete from cape_requests where key in (
    select key from cape_requests where at < now() - ${KEPT_HOURS} * interval '1 hour' and key <> $1
     order by at limit ${PRUNED} for update skip locked)`;

/**
 * @returns the ids in the order of the issues, of the first request with the key; null where that was another one
 * @throws CapeError as `enqueue` does; the key is then free again
 */
export function enqueueOnce(
  db: Database,
  { key, digest }: Once,
  issues: readonly NewIssue[],
): Promise<number[] | null> {
  const checked = issues.map((issue) => checkNewIssue(issue));
  return db.transaction(async (tx) => {
    const [taken] = await tx.query(TAKE, [key, digest]);
    if (!taken) {
      const [before] = await tx.query<{ digest: string; ids: number[] }>(
        'select digest, to_json(ids) as ids from cape_requests where key = $1',
        [key],
      );
      return before?.digest === digest ? before.ids : null;
    }
    await tx.query(PRUNE, [key]);
    const ids = await enqueue(tx, checked);
    await tx.query('update cape_requests set ids = $2::int[] where key = $1', [key, `{${ids.join(',')}}`]);
    return ids;
  });
}

/** The latest that attempts have told of themselves. */
import { arrayOf, type Queryable } from '../db/connect.js';

export interface Progress {
  readonly percent: number | null;
  readonly message: string | null;
}

/** Events looked at, from the newest: one that prints without end and tells no progress must cost nobody a second. */
const LOOK = 300;

const LATEST = `
  select w.id, e.data
    from unnest($1::int[], $2::int[]) as w(id, attempt)
    cross join lateral (
      select seen.data
        from (select seq, kind, attempt, data from cape_events
               where issue_id = w.id order by seq desc limit ${LOOK}) seen
       where seen.kind = 'progress' and seen.attempt = w.attempt order by seen.seq desc limit 1) e`;

/** By issue; those that have told none are not among them. */
export async function latestProgress(
  db: Queryable,
  attempts: readonly { readonly id: number; readonly attempt: number }[],
): Promise<Map<number, Progress>> {
  if (attempts.length === 0) return new Map();
  const rows = await db.query<{ id: number; data: Partial<Progress> | null }>(LATEST, [
    arrayOf(attempts.map(({ id }) => id)),
    arrayOf(attempts.map(({ attempt }) => attempt)),
  ]);
  return new Map(rows.map(({ id, data }) => [id, progressOf(data)]));
}

function progressOf(data: Partial<Progress> | null): Progress {
  const { percent, message } = data ?? {};
  return {
    percent: typeof percent === 'number' ? Math.min(100, Math.max(0, percent)) : null,
    message: typeof message === 'string' ? message : null,
  };
}

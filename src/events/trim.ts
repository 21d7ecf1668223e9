/** Takes the middle out of an attempt's output: its beginning and its end say most. */
import type { Queryable } from '../db/connect.js';

export interface Middle {
  readonly id: number;
  readonly attempt: number;
  /** Events of kind `output` with these numbers, both included, are deleted. */
  readonly from: number;
  readonly to: number;
  /** The next one, which is then told to come after so many bytes more that are left out. */
  readonly next: number;
  readonly bytes: number;
}

export async function trimOutput(db: Queryable, { id, attempt, from, to, next, bytes }: Middle): Promise<void> {
  await db.query(TRIM, [id, attempt, from, to, next, bytes]);
}

const TRIM = `
with
  trimmed as (
    delete from cape_events
     where issue_id = $1::int and seq between $3::int and $4::int and attempt = $2::int and kind = 'output')
update cape_events
   set data = data || jsonb_build_object('skipped', coalesce((data->>'skipped')::float8, 0) + $6::float8)
 where issue_id = $1::int and seq = $5::int and attempt = $2::int and kind = 'output'`;

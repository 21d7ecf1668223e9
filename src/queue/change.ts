/** What may be changed of a pending issue besides who runs it (operate.ts). */
import { CapeError } from '../core/errors.js';
import type { Status } from '../core/issue.js';
import type { Database } from '../db/connect.js';
import { noSuchIssue } from './operate.js';

/** What is absent stays as it is; null is the default of the worker, or no time. */
export interface Change {
  readonly priority?: number | undefined;
  readonly worker?: string | null | undefined;
  readonly runAt?: Date | null | undefined;
  readonly maxAttempts?: number | null | undefined;
  readonly timeoutSeconds?: number | null | undefined;
}

const LOCK = 'select status from cape_issues where id = $1 for no key update';

// A time that is past must not park the row, which would cost it a tick.
const CHANGE = `
  update cape_issues
     set priority = case when c ? 'priority' then (c->>'priority')::smallint else priority end,
         assigned_worker_id = case when c ? 'worker' then c->>'worker' else assigned_worker_id end,
         target_worker_id = case when c ? 'worker' then c->>'worker' else target_worker_id end,
         run_at = case when not c ? 'run_at' then run_at
                       when (c->>'run_at')::timestamptz > now() then (c->>'run_at')::timestamptz end,
         max_attempts = case when c ? 'max_attempts' then (c->>'max_attempts')::smallint else max_attempts end,
         timeout_seconds = case when c ? 'timeout_seconds' then (c->>'timeout_seconds')::int else timeout_seconds end,
         updated_at = now()
    from (select $2::text::jsonb as c) as changes
   where id = $1`;

/**
 * Changes a pending issue.
 * @throws CapeError `refused` where there is no such issue or it is not pending
 */
export function change(
  db: Database,
  id: number,
  { runAt, maxAttempts, timeoutSeconds, ...same }: Change,
): Promise<void> {
  const changes = { ...same, run_at: runAt, max_attempts: maxAttempts, timeout_seconds: timeoutSeconds };
  return db.transaction(async (tx) => {
    const [row] = await tx.query<{ status: Status }>(LOCK, [id]);
    if (!row) throw noSuchIssue(id);
    if (row.status !== 'pending')
      throw new CapeError('refused', `issue ${id}: is ${row.status}; only pending issues can be changed`);
    await tx.query(CHANGE, [id, JSON.stringify(changes)]);
  });
}

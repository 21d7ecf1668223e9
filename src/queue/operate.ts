/**
 * What a person does to one issue: cancel, retry, assign, delete. Each locks the issue's row first and looks at its lease
 * in a later statement: a single statement would miss a lease made after its snapshot. Waiting for a lock that somebody
 * holds ends with the connection's statement timeout.
 */
import { CapeError } from '../core/errors.js';
import { isFinal, type Status } from '../core/issue.js';
import type { Database, Queryable } from '../db/connect.js';
import { failureOf } from '../db/failure.js';
import { tell } from '../events/append.js';

interface Locked {
  readonly status: Status;
  readonly leased: boolean;
  readonly parked: boolean;
}

const LOCK = `
  select status, leased, run_at is not null as parked from cape_issues where id = $1 for no key update`;

async function lock(tx: Queryable, id: number): Promise<Locked> {
  const [row] = await tx.query<Locked>(LOCK, [id]);
  if (!row) throw noSuchIssue(id);
  return row;
}

/** The error for an id that no row has. */
export function noSuchIssue(id: number): CapeError {
  return new CapeError('refused', `issue ${id}: there is none; see cape-worker issues list`, { missing: true });
}

function refused(id: number, why: string): CapeError {
  return new CapeError('refused', `issue ${id}: ${why}`);
}

// Only a lease of ours has somebody who looks at the mark. A mark made earlier keeps its reason.
const MARK = `
  update cape_leases set cancel = coalesce(cancel, $2)
   where issue_id = $1 and instance is not null
  returning worker_id`;

// Where nobody of ours holds it, the table's own trigger for a status written by hand ends the lease.
const END_PENDING = `
  update cape_issues
     set status = 'cancelled', completed_at = now(), updated_at = now(), run_at = null, events = $2
   where id = $1`;

/** `cancelled`: it has ended. `ending`: the worker that runs it ends its command within a second. */
export type Cancelled = { readonly state: 'cancelled' } | { readonly state: 'ending'; readonly worker: string };

/**
 * Cancels a pending issue at once; marks a running one so that its worker ends it. A command that exits 0 before the
 * worker's signal reaches it has completed.
 * @throws CapeError `refused` where there is no such issue or it has ended
 */
export function cancel(db: Database, id: number, why = 'cancelled'): Promise<Cancelled> {
  return db.transaction(async (tx) => {
    const { status } = await lock(tx, id);
    if (isFinal(status)) throw refused(id, `is ${status} already; only pending and started issues can be cancelled`);
    const [held] = status === 'started' ? await tx.query<{ worker_id: string }>(MARK, [id, why]) : [];
    if (!held) {
      const ended = { outcome: null, exit_code: null, signal: null, error: why };
      await tx.query(END_PENDING, [id, await tell(tx, id, 'cancelled', ended)]);
      return { state: 'cancelled' };
    }
    await tell(tx, id, 'cancel_asked', { reason: why });
    await tx.query(`select pg_notify('cape_issues', 'cancel')`);
    return { state: 'ending', worker: held.worker_id };
  });
}

const AGAIN = `
  update cape_issues
     set status = 'pending', run_at = null, started_at = null, completed_at = null, updated_at = now(),
         failures = 0, crashes = 0, snoozes = 0, generation = generation + 1, result = null, last_error = null,
         assigned_worker_id = target_worker_id, events = $2
   where id = $1`;

const BY_PERSON = { by: 'person', delay_ms: 0, charge: 'none' };

/** `again`: an ended issue runs again. `now`: a parked one needs no longer wait. `waiting`: it was to run anyway. */
export type Retried = 'again' | 'now' | 'waiting';

/**
 * Lets an issue run again with fresh counts and a new generation (so a new idempotency key), or a parked one now.
 * @throws CapeError `refused` where there is no such issue, it is running, or another unfinished one has its key
 */
export function retry(db: Database, id: number): Promise<Retried> {
  return db
    .transaction(async (tx): Promise<Retried> => {
      const { status, parked } = await lock(tx, id);
      if (status === 'started') throw refused(id, 'is running; cancel it first');
      if (status === 'pending' && !parked) return 'waiting';
      if (status === 'pending') {
        const events = await tell(tx, id, 'retry', BY_PERSON);
        await tx.query('update cape_issues set run_at = null, updated_at = now(), events = $2 where id = $1', [
          id,
          events,
        ]);
        return 'now';
      }
      await tx.query(AGAIN, [id, await tell(tx, id, 'retry', BY_PERSON)]);
      return 'again';
    })
    .catch((error) => {
      if (failureOf(error).code !== UNIQUE_VIOLATION) throw error;
      throw refused(id, 'another unfinished issue has its key; wait for that one or cancel it');
    });
}

const UNIQUE_VIOLATION = '23505';

/**
 * Directs a pending issue to one worker, on later attempts too; null lets any worker take it. A table that has an old
 * `assigned_to` follows by its trigger.
 * @throws CapeError `refused` where there is no such issue or it is not pending
 */
export function assign(db: Database, id: number, worker: string | null): Promise<void> {
  return db.transaction(async (tx) => {
    const { status } = await lock(tx, id);
    if (status !== 'pending') throw refused(id, `is ${status}; only pending issues can be assigned`);
    await tx.query(
      'update cape_issues set assigned_worker_id = $2, target_worker_id = $2, updated_at = now(), events = $3 where id = $1',
      [id, worker, await tell(tx, id, 'assigned', { worker })],
    );
  });
}

/**
 * Deletes an issue and its attempts. Its log files stay until a worker prunes them.
 * @throws CapeError `refused` where there is no such issue or an attempt of it is running
 */
export function remove(db: Database, id: number): Promise<void> {
  return db.transaction(async (tx) => {
    const { status, leased } = await lock(tx, id);
    if (status === 'started') throw refused(id, 'is running; cancel it first');
    if (leased) throw refused(id, 'its last attempt is still being ended; try again in a moment');
    await tx.query('delete from cape_issues where id = $1', [id]);
    await tx.query('delete from cape_attempts where issue_id = $1', [id]);
  });
}

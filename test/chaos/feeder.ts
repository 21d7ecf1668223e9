/** A client that inserts issues all through the run, whatever becomes of the database. Only what was committed counts. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Queryable } from '../../src/db/connect.js';
import type { IssuePlan } from './issues.js';

export interface Inserted {
  readonly id: number;
  readonly plan: IssuePlan;
}

const AGAIN_MS = 200;

export class Feeder {
  readonly inserted: Inserted[] = [];
  readonly #db: Queryable;

  constructor(db: Queryable) {
    this.#db = db;
  }

  /** Resolves when all of them are committed, or `signal` said to stop. */
  async feed(plans: readonly IssuePlan[], signal: AbortSignal): Promise<void> {
    const began = performance.now();
    for (const plan of plans) {
      await pause(Math.max(0, began + plan.atMs - performance.now()), null, { signal }).catch(() => {});
      const id = await this.#insert(plan, signal);
      if (id !== null) this.inserted.push({ id, plan });
    }
  }

  /** An insert whose answer was lost may have been committed: it is looked up before it is sent again. */
  async #insert(plan: IssuePlan, signal: AbortSignal): Promise<number | null> {
    for (let unclear = false; !signal.aborted; ) {
      try {
        if (unclear) {
          const [found] = await this.#db.query<{ id: number }>('select id from cape_issues where description = $1', [
            plan.description,
          ]);
          if (found) return found.id;
        }
        unclear = true;
        const [row] = await this.#db.query<{ id: number }>(
          `insert into cape_issues (description, priority, timeout_seconds, max_attempts)
           values ($1, $2::int, $3::int, $4::int) returning id`,
          [plan.description, plan.priority, plan.timeoutSeconds, plan.maxAttempts],
        );
        return row!.id;
      } catch {
        await pause(AGAIN_MS, null, { signal }).catch(() => {});
      }
    }
    return null;
  }
}

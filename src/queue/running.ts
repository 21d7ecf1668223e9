/** What runs now, by worker. */
import type { Queryable } from '../db/connect.js';

export interface RunningIssue {
  readonly id: number;
  readonly description: string;
  readonly attempt: number;
  readonly started_at: Date;
  readonly worker_id: string;
}

// Descriptions may have megabytes each. Nobody looks at more than so many at once, and leases of other programs count too.
const RUNNING = `
  select l.issue_id as id, left(i.description, 1000) as description, l.attempt, l.started_at, l.worker_id
    from cape_leases l join cape_issues i on i.id = l.issue_id
   order by l.started_at, l.issue_id limit 5000`;

/** Running issues, the oldest first, their descriptions cut to 1,000 characters; 5,000 of them at most. */
export function runningIssues(db: Queryable): Promise<RunningIssue[]> {
  return db.query<RunningIssue>(RUNNING);
}

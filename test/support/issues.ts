/** Issues as any other program sees them, and the processes that work on them. */
import type { Sql } from 'postgres';
import type { Attempt, Issue } from '../../src/core/issue.js';
import { stateOf } from '../../src/execution/processes.js';
import { until } from './until.js';

/** The questions and answers of a test about the table, asked with plain SQL. */
export function issuesOf(sql: Sql) {
  const issue = async (id: number): Promise<Issue> => {
    const [row] = await sql<Issue[]>`select * from cape_issues where id = ${id}`;
    return row!;
  };
  return {
    issue,
    /** As another program would: an INSERT, and nothing else. */
    async add(description: string, columns: Partial<Issue> = {}): Promise<number> {
      const values = { description, ...columns } as unknown as Record<string, never>;
      const [row] = await sql`insert into cape_issues ${sql(values)} returning id`;
      return row!.id;
    },
    attempts: (id: number) => sql<Attempt[]>`select * from cape_attempts where issue_id = ${id} order by attempt`,
    /** Waits for its end, and gives the row. */
    ended: (id: number, timeoutMs = 25_000) =>
      until(async () => (await issue(id)).completed_at !== null && issue(id), {
        what: `the end of issue ${id}`,
        timeoutMs,
      }),
    /** Waits until it is completed, whatever it was before, and gives the row. */
    completed: (id: number, timeoutMs = 25_000) =>
      until(async () => (await issue(id)).status === 'completed' && issue(id), {
        what: `issue ${id} to be completed`,
        timeoutMs,
      }),
    /** Empties every table that a worker writes to. */
    clear: () =>
      sql`truncate cape_issues; truncate cape_attempts; truncate cape_workers; truncate cape_pauses`.simple(),
  };
}

/** A process that still does something: zombies wait for a PID 1 that may be slow. */
export function isRunning(pid: number): boolean {
  const state = stateOf(pid);
  return state !== null && !state.zombie;
}

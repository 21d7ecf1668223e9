/** Everything that a run leaves to judge by: what the database says, what the commands wrote, what was done to them. */
import { uptime } from 'node:os';
import type { Status } from '../../src/core/issue.js';
import type { Queryable } from '../../src/db/connect.js';
import type { IssuePlan } from './issues.js';
import type { LedgerLine } from './ledger.js';
import type { FaultKind } from './schedule.js';
import type { Sighting, Survivor } from './sightings.js';
import type { Departure } from './worker-slot.js';

/** All times are seconds since the machine's start, which no fault touches. */
export interface History {
  readonly inserted: readonly { readonly id: number; readonly plan: IssuePlan }[];
  readonly rows: readonly IssueRow[];
  readonly attempts: readonly AttemptRow[];
  /** Issues that still have a lease. */
  readonly leases: readonly number[];
  readonly moves: readonly Move[];
  readonly ledger: readonly LedgerLine[];
  readonly sightings: readonly Sighting[];
  readonly survivors: readonly Survivor[];
  readonly faults: readonly FaultRecord[];
  readonly cancels: readonly Cancel[];
  /** Issues that were set back to pending by hand. */
  readonly requeued: readonly number[];
  readonly departures: readonly Departure[];
  /** Workers that did not end well within their time when they were asked to at the end. */
  readonly stuck: readonly string[];
  /** Null: the queue was empty in time. Else how long it was waited for, seconds. */
  readonly undrainedAfter: number | null;
}

export interface IssueRow {
  readonly id: number;
  readonly description: string;
  readonly status: Status;
  readonly leased: boolean;
  readonly attempt: number;
  readonly failures: number;
  readonly crashes: number;
  readonly snoozes: number;
  readonly started: number | null;
  readonly completed: number | null;
}

export interface AttemptRow {
  readonly issue: number;
  readonly attempt: number;
  readonly token: string;
  readonly worker: string;
  readonly started: number;
  readonly ended: number;
  readonly outcome: string;
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly error: string | null;
}

export interface Move {
  readonly issue: number;
  /** Null: the row was inserted. */
  readonly was: Status | null;
  readonly became: Status;
  readonly attempt: number;
  readonly at: number;
  readonly byHand: boolean;
}

/** A fault as it came about. */
export interface FaultRecord {
  readonly kind: FaultKind;
  readonly worker: string | null;
  readonly from: number;
  /** When all was well again. */
  readonly until: number;
  /** False where there was nothing to strike: a worker without a keeper, a database that was down. */
  readonly hit: boolean;
}

export interface Cancel {
  readonly issue: number;
  /** `ending`: its worker was told; `cancelled`: it was pending; null: no answer came. */
  readonly state: 'cancelled' | 'ending' | null;
}

export const BY_HAND = 'chaos by hand';

/** The run's own database keeps every move of every row: what a row was at the end tells little of how it came there. */
export const WATCH_MOVES = [
  `create table chaos_moves (
     n bigserial primary key, issue int not null, was text, became text not null, attempt int not null,
     at timestamptz not null default clock_timestamp(), app text not null default current_setting('application_name'))`,
  `create function chaos_move() returns trigger language plpgsql as $$
   begin
     insert into public.chaos_moves (issue, was, became, attempt)
     values (new.id, case when tg_op = 'UPDATE' then old.status end, new.status, new.attempt);
     return null;
   end $$`,
  `create trigger chaos_inserted after insert on cape_issues for each row execute function chaos_move()`,
  `create trigger chaos_moved after update on cape_issues for each row
     when (old.status is distinct from new.status) execute function chaos_move()`,
];

type FromDatabase = Pick<History, 'rows' | 'attempts' | 'leases' | 'moves'>;

export async function readDatabase(db: Queryable): Promise<FromDatabase> {
  // The database's clock is this machine's; nobody sets it meanwhile.
  const boot = Date.now() / 1000 - uptime();
  const since = (column: string, name: string) => `extract(epoch from ${column})::float8 - ${boot} as ${name}`;
  const leases = await db.query<{ issue: number }>('select issue_id as issue from cape_leases order by 1');
  return {
    rows: await db.query<IssueRow>(
      `select id, description, status, leased, attempt, failures, crashes, snoozes, ${since('started_at', 'started')},
              ${since('completed_at', 'completed')} from cape_issues order by id`,
    ),
    attempts: await db.query<AttemptRow>(
      `select issue_id as issue, attempt, token, worker_id as worker, ${since('started_at', 'started')},
              ${since('ended_at', 'ended')}, outcome, exit_code as "exitCode", signal, error
         from cape_attempts order by issue_id, attempt`,
    ),
    leases: leases.map(({ issue }) => issue),
    moves: await db.query<Move>(
      `select issue, was, became, attempt, ${since('at', 'at')}, app = '${BY_HAND}' as "byHand" from chaos_moves order by n`,
    ),
  };
}

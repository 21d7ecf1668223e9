/** The table of workers: one row per worker id, held by one process at a time. */
import type { Queryable } from '../db/connect.js';

/** What a process tells of itself. */
export interface Registration {
  readonly id: string;
  /** A new UUID for every process. */
  readonly instance: string;
  readonly host: string;
  /** Machine, boot and pid namespace in one string: where two agree, pids mean the same. */
  readonly machine: string;
  readonly pid: number;
  readonly pidStart: string;
  readonly version: string;
  readonly slots: number;
  readonly logDir: string | null;
}

/** A row of `cape_workers`, with what the database's clock says of it. */
export interface WorkerRow {
  readonly id: string;
  readonly instance: string;
  readonly host: string;
  readonly machine: string;
  readonly pid: number;
  readonly pid_start: string;
  readonly version: string;
  readonly slots: number;
  /** Attempts in its hands. */
  readonly running: number;
  readonly log_dir: string | null;
  /** The processes that guard its commands, as `setHelpers` was given them. */
  readonly helpers: unknown;
  readonly started_at: Date;
  readonly heartbeat_at: Date;
  /** Milliseconds since the last heartbeat. */
  readonly silent_ms: number;
  readonly waiting_until: Date | null;
  readonly stopped_at: Date | null;
  /** It, or every worker, is paused. */
  readonly paused: boolean;
}

/** Seconds without a heartbeat after which a holder has lost its id: three of the longest interval between two. */
export const STALE_SECONDS = 45;

export type Registered =
  /** `previous` is the row that was replaced: whose leases and helpers are to be looked after. */
  | { readonly state: 'registered'; readonly previous: WorkerRow | null }
  /** Another process has the id and is alive, as far as its heartbeat tells. */
  | { readonly state: 'taken'; readonly holder: WorkerRow };

/**
 * Takes the worker id for this process, unless another one holds it: has not left and showed itself within STALE_SECONDS.
 * Of several newcomers exactly one gets it. The leases of a process that lost its id still run their time.
 * @param dead the instance of a holder whose process is proven gone: it loses the id at once
 */
export async function register(db: Queryable, self: Registration, dead?: string): Promise<Registered> {
  const { id, instance, host, machine, pid, pidStart, version, slots, logDir } = self;
  const params = [id, instance, host, machine, pid, pidStart, version, slots, logDir, dead ?? null];
  const [row] = await db.query<WorkerRow & { won: boolean }>(REGISTER, params);
  if (row?.won) return { state: 'registered', previous: previousOf(row) };
  const [holder] = await db.query<WorkerRow>(`${WORKERS} where w.id = $1`, [id]);
  // No row any more: somebody deleted it between the two statements.
  return holder ? { state: 'taken', holder } : register(db, self, dead);
}

/** The replaced row's columns are null where there was none. */
function previousOf({ won: _, ...row }: WorkerRow & { won: boolean }): WorkerRow | null {
  return row.id === null ? null : row;
}

/**
 * Records the helper processes of this worker (a plain object), or null when they are gone. Never waits for a lock:
 * renewals have the same connection, and somebody's open transaction must not make them late.
 * @returns false where the row was locked for the moment: nothing was written, try again
 */
export async function setHelpers(db: Queryable, instance: string, helpers: object | null): Promise<boolean> {
  const [answer] = await db.query<{ locked: boolean }>(SET_HELPERS, [instance, helpers && JSON.stringify(helpers)]);
  return answer?.locked !== true;
}

/** Leaves in good order: the id is free at once. */
export async function deregister(db: Queryable, instance: string): Promise<void> {
  await db.query(
    `update cape_workers set stopped_at = now(), waiting_until = null, helpers = null where instance = $1::uuid`,
    [instance],
  );
}

/** A process that is proven dead has left: its id is free, and nobody looks after it any more. */
export async function markDead(db: Queryable, instance: string): Promise<void> {
  await deregister(db, instance);
}

/** The other processes of the same machine that have not left. */
export async function neighbours(db: Queryable, machine: string, instance: string): Promise<WorkerRow[]> {
  return db.query(`${WORKERS} where w.machine = $1 and w.instance <> $2::uuid and w.stopped_at is null order by w.id`, [
    machine,
    instance,
  ]);
}

/** Every worker that was ever seen, by id. */
export async function listWorkers(db: Queryable): Promise<WorkerRow[]> {
  return db.query(`${WORKERS} order by w.id`);
}

const COLUMNS = `w.id, w.instance, w.host, w.machine, w.pid, w.pid_start, w.version, w.slots, w.log_dir, w.helpers,
  w.started_at, w.heartbeat_at, w.waiting_until, w.stopped_at,
  (extract(epoch from clock_timestamp() - w.heartbeat_at) * 1000)::float8 as silent_ms,
  (select count(*)::int from cape_leases l where l.instance = w.instance) as running,
  exists (select from cape_pauses p where p.worker_id in (w.id, '*')) as paused`;

const WORKERS = `select ${COLUMNS} from cape_workers w`;

// The select locks the row that the upsert then judges, so that `previous` is what was replaced and not an older version;
// `looked` makes the upsert wait for it.
const REGISTER = `
with
  previous as materialized (select ${COLUMNS} from cape_workers w where w.id = $1 for update of w),
  looked as materialized (select count(*) as rows from previous),
  won as (
    insert into cape_workers as mine (id, instance, host, machine, pid, pid_start, version, slots, log_dir)
    select $1, $2::uuid, $3, $4, $5::int, $6, $7, $8::int, $9 from looked
    on conflict (id) do update
       set instance = excluded.instance, host = excluded.host, machine = excluded.machine, pid = excluded.pid,
           pid_start = excluded.pid_start, version = excluded.version, slots = excluded.slots, log_dir = excluded.log_dir,
           helpers = null, started_at = now(), heartbeat_at = now(), waiting_until = null, stopped_at = null
     where mine.stopped_at is not null or mine.instance = excluded.instance or mine.instance = $10::uuid
        or mine.heartbeat_at < now() - interval '${STALE_SECONDS} seconds'
    returning id)
select exists (select from won) as won, previous.* from looked left join previous on true`;

// No row of ours any more is no lock: another process has the worker id, and nothing is to be written.
const SET_HELPERS = `
with
  self as materialized (select id from cape_workers where instance = $1::uuid for no key update skip locked),
  written as (
    update cape_workers set helpers = $2::text::jsonb where id = any(array(select id from self)) returning id)
select exists (select from cape_workers where instance = $1::uuid) and not exists (select from written) as locked`;

/** How the queue is doing, in a few numbers: exact where the table is small, else bounded reads and estimates. */
import type { Database, Queryable } from '../db/connect.js';
import { byIndex } from './by-index.js';
import { lastHour } from './throughput.js';
import { STALE_SECONDS } from './workers.js';

/** How the queue is doing. */
export interface Stats {
  readonly pending: number;
  /** Of the pending ones, those that wait for a time to come. */
  readonly parked: number;
  readonly started: number;
  readonly completed: number;
  readonly failed: number;
  readonly cancelled: number;
  /** Rows with a status that is none of ours; no worker touches them. */
  readonly other: number;
  /** Seconds since the oldest issue that could run now was added; null where there is none. */
  readonly oldest_pending_seconds: number | null;
  readonly completed_last_hour: number;
  readonly failed_last_hour: number;
  /** Pending issues directed to workers that are not there to take them. */
  readonly stranded: readonly Stranded[];
  /** Names of those numbers that are estimates: some percent off, or as old as the last ANALYZE (autovacuum's). */
  readonly estimated: readonly string[];
}

interface Stranded {
  readonly worker_id: string;
  readonly issues: number;
  readonly seen: boolean;
}

/** Some 100,000 rows, which one pass counts in 20 ms. Told by the file: `reltuples` may be of long ago. */
const SMALL_BYTES = 16 * 1024 * 1024;

/** @param smallBytes up to which size everything is counted, for tests */
export async function stats(db: Database, smallBytes = SMALL_BYTES): Promise<Stats> {
  const [size] = await db.query<{ bytes: number }>(`select pg_relation_size('cape_issues')::float8 as bytes`);
  return (size?.bytes ?? 0) <= smallBytes ? counted(db) : estimated(db);
}

async function counted(db: Queryable): Promise<Stats> {
  const [counts] = await db.query<Omit<Stats, 'stranded' | 'estimated'>>(COUNTS);
  const stranded = await db.query<Stranded>(STRANDED);
  return { ...(counts as Omit<Stats, 'stranded' | 'estimated'>), stranded, estimated: [] };
}

const COUNTS = `
  select count(*) filter (where status = 'pending')::int as pending,
         count(*) filter (where status = 'pending' and run_at is not null)::int as parked,
         count(*) filter (where status = 'started')::int as started,
         count(*) filter (where status = 'completed')::int as completed,
         count(*) filter (where status = 'failed')::int as failed,
         count(*) filter (where status = 'cancelled')::int as cancelled,
         count(*) filter (where status not in ('pending', 'started', 'completed', 'failed', 'cancelled'))::int as other,
         extract(epoch from now() - min(created_at) filter (where status = 'pending' and run_at is null))::float8
           as oldest_pending_seconds,
         count(*) filter (where status = 'completed' and completed_at > now() - interval '1 hour')::int
           as completed_last_hour,
         count(*) filter (where status = 'failed' and completed_at > now() - interval '1 hour')::int as failed_last_hour
    from cape_issues`;

const AWAY = `(w.id is null or w.stopped_at is not null or w.heartbeat_at < now() - ${STALE_SECONDS} * interval '1 second')`;

const STRANDED = `
  select i.assigned_worker_id as worker_id, count(*)::int as issues, bool_or(w.id is not null) as seen
    from cape_issues i left join cape_workers w on w.id = i.assigned_worker_id
   where i.status = 'pending' and i.assigned_worker_id is not null and ${AWAY}
   group by 1 order by 1`;

/** Counted up to here, in each place; above, what the last ANALYZE saw. */
const CAP = 2000;

async function estimated(db: Database): Promise<Stats> {
  const [places, oldest, stranded] = await byIndex(db, async (tx) => [
    await tx.query<Place>(PLACES),
    await tx.query<{ seconds: number | null; cut: boolean }>(OLDEST),
    await tx.query<Stranded & { cut: boolean }>(STRANDED_BY_INDEX),
  ]);
  const hour = await lastHour(db);
  const names = new Set<string>();
  const sum = (name: string, belongs: (place: Place) => boolean): number => {
    const among = places.filter(belongs);
    if (!among.some(({ rows }) => rows > CAP)) return among.reduce((all, { rows }) => all + rows, 0);
    names.add(name);
    const seen = among.reduce((all, { rows }) => all + rows, 0);
    return Math.max(seen, ...among.map(({ estimate }) => Math.round(estimate ?? 0)));
  };
  const of = (status: string) => sum(status, (place) => place.status === status);
  const numbers = {
    pending: of('pending'),
    parked: sum('parked', ({ place }) => place === 'parked'),
    started: of('started'),
    completed: of('completed'),
    failed: of('failed'),
    cancelled: of('cancelled'),
    other: sum('other', ({ status }) => !OURS.includes(status)),
    oldest_pending_seconds: oldest[0]?.seconds ?? null,
    completed_last_hour: hour.completed,
    failed_last_hour: hour.failed,
  };
  if (oldest.some(({ cut }) => cut)) names.add('oldest_pending_seconds');
  if (stranded.some(({ cut }) => cut)) names.add('stranded');
  if (hour.estimated) names.add('completed_last_hour').add('failed_last_hour');
  return { ...numbers, stranded: stranded.map(({ cut, ...one }) => one), estimated: [...names] };
}

const OURS = ['pending', 'started', 'completed', 'failed', 'cancelled'];

interface Place {
  readonly place: string;
  readonly status: string;
  /** At most one more than CAP. */
  readonly rows: number;
  /** Of all rows of the status; of the parked ones, those. */
  readonly estimate: number | null;
}

const CLAIMABLE = `status = 'pending' and run_at is null and not leased and assigned_worker_id is null`;
const DIRECTED = `status = 'pending' and run_at is null and not leased and assigned_worker_id is not null`;
const KEY = '(-priority::int), created_at, id';
const KEY_BACKWARD = '(-priority::int) desc, created_at desc, id desc';

// The claim's index is read from its end: claimed rows leave dead entries at its head.
const PLACES = `
  with recursive statuses as (
    (select status from cape_issues where not leased and status <> 'pending' order by status, id limit 1)
    union all
    select (select i.status from cape_issues i where not i.leased and i.status <> 'pending' and i.status > s.status
             order by i.status, i.id limit 1)
      from statuses s where s.status is not null),
  table_rows as (
    select greatest(reltuples, 0)
             * (pg_relation_size(oid) / current_setting('block_size')::float8 / greatest(relpages, 1)) as number
      from pg_class where oid = 'cape_issues'::regclass),
  shares as (
    select unnest(most_common_vals::text::text[]) as status, unnest(most_common_freqs)::float8 as share
      from pg_stats where schemaname = current_schema() and tablename = 'cape_issues' and attname = 'status'),
  places as (
    select 'claimable' as place, 'pending' as status, (
      select count(*) from (select from cape_issues where ${CLAIMABLE} order by ${KEY_BACKWARD} limit ${CAP + 1}) x) as rows
    union all
    select 'directed', 'pending', (
      select count(*) from (select from cape_issues where ${DIRECTED}
                             order by assigned_worker_id desc, ${KEY_BACKWARD} limit ${CAP + 1}) x)
    union all
    select 'parked', 'pending', (
      select count(*) from (select from cape_issues where status = 'pending' and run_at is not null
                             order by run_at limit ${CAP + 1}) x)
    union all
    select 'in hand', status, count(*) from cape_issues
     where id = any(array(select issue_id from cape_leases order by issue_id limit ${CAP + 1}))
       and not (status = 'pending' and run_at is not null)
     group by status
    union all
    select 'ended', s.status, (
      select count(*) from (select from cape_issues i
                             where not i.leased and i.status <> 'pending' and i.status >= s.status and i.status <= s.status
                             order by i.status, i.id limit ${CAP + 1}) x)
      from (select status from statuses where status is not null limit 20) s)
  select p.place, p.status, p.rows::int as rows,
         case p.place when 'parked' then (select reltuples::float8 from pg_class where oid = 'cape_issues_parked'::regclass)
           else (select max(share) from shares where shares.status = p.status) * (select number from table_rows) end as estimate
    from places p`;

/** So many priorities (of directed ones: workers and priorities) are looked at, each by its oldest issue. */
const HEADS = 200;

const OLDEST = `
  with recursive open as (
    (select priority, created_at from cape_issues where ${CLAIMABLE} order by ${KEY} limit 1)
    union all
    select n.priority, n.created_at from open h cross join lateral (
      select priority, created_at from cape_issues where ${CLAIMABLE} and (-priority::int) > -(h.priority::int)
       order by ${KEY} limit 1) n),
  directed as (
    (select assigned_worker_id, priority, created_at from cape_issues where ${DIRECTED} order by assigned_worker_id, ${KEY} limit 1)
    union all
    select n.assigned_worker_id, n.priority, n.created_at from directed h cross join lateral (
      select assigned_worker_id, priority, created_at from cape_issues
       where ${DIRECTED} and (assigned_worker_id, (-priority::int)) > (h.assigned_worker_id, -(h.priority::int))
       order by assigned_worker_id, ${KEY} limit 1) n),
  heads as (
    (select created_at, 'open' as kind from open limit ${HEADS})
    union all
    (select created_at, 'directed' from directed limit ${HEADS}))
  select extract(epoch from now() - min(created_at))::float8 as seconds,
         count(*) filter (where kind = 'open') = ${HEADS} or count(*) filter (where kind = 'directed') = ${HEADS} as cut
    from heads`;

/** So many workers are looked at, and so many issues of each. */
const WORKERS = 200;
const OF_EACH = 1000;

const STRANDED_BY_INDEX = `
  with recursive directed as (
    (select assigned_worker_id as id from cape_issues where ${DIRECTED} order by assigned_worker_id, ${KEY} limit 1)
    union all
    select (select assigned_worker_id from cape_issues where ${DIRECTED} and assigned_worker_id > h.id
             order by assigned_worker_id, ${KEY} limit 1)
      from directed h where h.id is not null)
  select d.id as worker_id, least(n.issues, ${OF_EACH})::int as issues, w.id is not null as seen, n.issues > ${OF_EACH} as cut
    from (select id from directed where id is not null limit ${WORKERS}) d
    left join cape_workers w on w.id = d.id
   cross join lateral (
     select count(*) as issues from (
       select from cape_issues where ${DIRECTED} and assigned_worker_id = d.id order by ${KEY} limit ${OF_EACH + 1}) x) n
   where ${AWAY} order by 1`;

/** What ended when, from the history of attempts: exact where that is little, else from a sample of every slice of time. */
import { CapeError } from '../core/errors.js';
import type { Database, Queryable } from '../db/connect.js';

/** One slice of time. */
export interface Bucket {
  /** Its beginning. */
  readonly at: Date;
  readonly completed: number;
  /** Issues that failed for good. */
  readonly failed: number;
  /** Attempts after which the issue went back to pending. */
  readonly retried: number;
  /** Median of what first attempts waited since the issue was added, milliseconds; null where there was none. */
  readonly wait_ms: number | null;
  /** Median of how long attempts took, milliseconds; null where there was none. */
  readonly run_ms: number | null;
}

export interface History {
  readonly bucket_seconds: number;
  /** Oldest first, without gaps. */
  readonly buckets: readonly Bucket[];
  /** The counts are estimates: too much ended to count it. */
  readonly estimated: boolean;
}

const MOST_MINUTES = 7 * 24 * 60;
const MOST_BUCKETS = 60;

/**
 * The last `minutes`, in at most 60 buckets of whole minutes.
 * @throws CapeError('usage') for anything but 1 to 10,080
 */
export async function history(db: Database, minutes = 60): Promise<History> {
  if (!Number.isInteger(minutes) || minutes < 1 || minutes > MOST_MINUTES)
    throw new CapeError('usage', `minutes: got "${minutes}"; must be a whole number from 1 to ${MOST_MINUTES}`);
  const bucketSeconds = 60 * Math.ceil(minutes / MOST_BUCKETS);
  return sliced(db, { bucketSeconds, count: Math.ceil((minutes * 60) / bucketSeconds) });
}

/** How many issues were completed and how many failed for good within the last hour. */
export async function lastHour(db: Database): Promise<{ completed: number; failed: number; estimated: boolean }> {
  const { buckets, estimated } = await sliced(db, { bucketSeconds: 300, count: 12 });
  return {
    completed: buckets.reduce((sum, bucket) => sum + bucket.completed, 0),
    failed: buckets.reduce((sum, bucket) => sum + bucket.failed, 0),
    estimated,
  };
}

interface Slices {
  readonly bucketSeconds: number;
  readonly count: number;
}

/** So many attempts are counted one by one. */
const CAP = 5000;
/** Else the first so many of each slice are looked at: from how far they reach, its whole number is told. */
const SAMPLE = 100;

type Row = Bucket & { readonly rows: number; readonly reach: number | null };

async function sliced(db: Database, { bucketSeconds, count }: Slices): Promise<History> {
  return db.transaction(async (tx) => {
    // Statistics that are behind know nothing of the newest hour; a plain scan of the history would begin at its oldest.
    await tx.query(`select set_config('enable_seqscan', 'off', true)`);
    const all = await read(tx, ALL, bucketSeconds, count);
    const total = all.reduce((sum, { rows }) => sum + rows, 0);
    const rows = total <= CAP ? all : await read(tx, SAMPLED, bucketSeconds, count);
    const buckets = rows.map(({ rows, reach, ...bucket }) =>
      total > CAP && rows >= SAMPLE ? whole(bucket, reach, bucketSeconds) : bucket,
    );
    return { bucket_seconds: bucketSeconds, buckets, estimated: total > CAP };
  });
}

function read(tx: Queryable, statement: string, bucketSeconds: number, count: number): Promise<Row[]> {
  return tx.query<Row>(statement, [bucketSeconds, count]);
}

/** History is written in the order of time, so that the first rows of a slice lie at its beginning. */
function whole(bucket: Bucket, reach: number | null, seconds: number): Bucket {
  const factor = seconds / Math.max(reach ?? seconds, 0.001);
  const grown = (rows: number) => Math.round(rows * Math.max(1, factor));
  return {
    ...bucket,
    completed: grown(bucket.completed),
    failed: grown(bucket.failed),
    retried: grown(bucket.retried),
  };
}

/** Waits are looked up in the issues, one by one: of each slice no more than this. */
const WAITS = 50;

// An attempt that succeeded needs no look at its issue; what became of another is told by its issue. Not by EXISTS, for
// which the planner may read all failed issues into a hash.
const statement = (found: string) => `
  with ends as (select date_trunc('minute', now()) + interval '1 minute' as till),
  slices as materialized (
    select n, till - (($2::int - n) * $1::int) * interval '1 second' as since,
           till - (($2::int - n - 1) * $1::int) * interval '1 second' as till
      from ends cross join generate_series(0, $2::int - 1) n),
  found as materialized (${found}),
  judged as (
    select f.*, extract(epoch from f.ended_at - f.started_at)::float8 * 1000 as run,
           case when f.outcome in ('succeeded', 'cancelled') then f.outcome
                when (select i.status = 'failed' and i.attempt = f.attempt from cape_issues i where i.id = f.issue_id)
                then 'failed' else 'retried' end as became
      from found f),
  firsts as (
    select f.n, extract(epoch from f.started_at - i.created_at)::float8 * 1000 as wait
      from (select n, issue_id, started_at, row_number() over (partition by n) as place from found where attempt = 1) f
     cross join lateral (select created_at from cape_issues where id = f.issue_id) i
     where f.place <= ${WAITS})
  select s.since as at,
         count(j.n) filter (where became = 'succeeded')::int as completed,
         count(j.n) filter (where became = 'failed')::int as failed,
         count(j.n) filter (where became = 'retried')::int as retried,
         (select percentile_cont(0.5) within group (order by case when wait < 0 then 0 else wait end) from firsts f where f.n = s.n) as wait_ms,
         percentile_cont(0.5) within group (order by case when run < 0 then 0 else run end) as run_ms,
         count(j.n)::int as rows,
         extract(epoch from max(j.ended_at) - s.since)::float8 as reach
    from slices s left join judged j on j.n = s.n
   group by s.n, s.since order by s.n`;

const COLUMNS = 'issue_id, attempt, started_at, ended_at, outcome';

// The slice is reckoned: joined to the slices, each attempt would be compared with all of them.
const ALL = statement(`
  select least(floor(extract(epoch from a.ended_at - first.since) / $1::int), $2::int - 1)::int as n, a.*
    from (select since from slices where n = 0) first
   cross join lateral (select ${COLUMNS} from cape_attempts where ended_at >= first.since limit ${CAP + 1}) a`);

const SAMPLED = statement(`
  select s.n, a.* from slices s cross join lateral (
    select ${COLUMNS} from cape_attempts where ended_at >= s.since and ended_at < s.till limit ${SAMPLE}) a`);

/** One statement per tick of a worker: its heartbeat and the renewal of all its leases. */
import type { Queryable } from '../db/connect.js';
import { type Held, heldParams } from './settle.js';
import { WAITING_SECONDS } from './waiting.js';

export interface Beat {
  /** The process (`register`). */
  readonly instance: string;
  /** Keeps the mark of `markWaiting` from expiring. */
  readonly waiting: boolean;
  /** The attempts, by token: "all that is mine" would keep one alive that an unclear claim made and nobody works on. */
  readonly leases: readonly Held[];
  readonly leaseSeconds: number;
}

export interface Renewed extends Held {
  /**
   * - `ok`: the lease runs for another `leaseSeconds`, counted from before the statement was sent
   * - `busy`: its row was locked for the moment; not renewed
   * - `lost`: the attempt is not ours any more; whatever still runs for it has to end
   */
  readonly state: 'ok' | 'busy' | 'lost';
  /** Why somebody wants the attempt ended; null = nobody does. */
  readonly cancelled: string | null;
}

export interface BeatAnswer {
  /** False: another process has this worker id now, and ours has to leave. */
  readonly registered: boolean;
  /** It, or every worker, is paused. */
  readonly paused: boolean;
  readonly leases: Renewed[];
}

/** Shows that the worker lives, and renews. Never waits for a lock: somebody's open transaction must not cost a worker its leases. */
export async function beat(db: Queryable, { instance, waiting, leases, leaseSeconds }: Beat): Promise<BeatAnswer> {
  const params = [...heldParams(leases), leaseSeconds, instance, waiting];
  const [answer] = await db.query<BeatAnswer>(BEAT, params);
  if (!answer) return { registered: false, paused: false, leases: [] };
  const told = new Map(answer.leases.map((lease) => [`${lease.id} ${lease.token}`, lease]));
  const state = ({ id, token }: Held): Renewed =>
    told.get(`${id} ${token}`) ?? { id, token, state: 'ok', cancelled: null };
  return { ...answer, leases: leases.map(state) };
}

/**
 * Its `leases` are those with something to tell; silence is "ok, and nobody wants it ended".
 * The update finds the locked rows through one array: joined, it became 200 searches, each with the array of all ids.
 */
const BEAT = `
with
  asked as materialized (select * from unnest($1::int[], $2::uuid[]) as v(id, token)),
  locked as materialized (
    select l.issue_id from cape_leases l join asked on asked.id = l.issue_id and asked.token = l.token
     where l.issue_id = any($1::int[]) order by l.issue_id for no key update of l skip locked),
  renewed as (
    update cape_leases set lease_until = now() + $3::float8 * interval '1 second'
     where issue_id = any(array(select issue_id from locked))
    returning issue_id, token, cancel),
  told as (
    select asked.id, asked.token, renewed.cancel as cancelled,
           case when renewed.token is not null then 'ok'
                -- As it was before this statement: somebody holds its lock.
                else coalesce((select 'busy' from cape_leases l where l.issue_id = asked.id and l.token = asked.token), 'lost')
           end as state
      from asked left join renewed on renewed.issue_id = asked.id and renewed.token = asked.token
     where renewed.token is null or renewed.cancel is not null),
  self as materialized (
    select id from cape_workers where instance = $4::uuid for no key update skip locked),
  heartbeat as (
    update cape_workers
       set heartbeat_at = now(),
           waiting_until = case when $5::boolean then now() + interval '${WAITING_SECONDS} seconds' else waiting_until end
     where id = any(array(select id from self)))
select exists (select from cape_workers where instance = $4::uuid) as registered,
       exists (select from cape_pauses where worker_id in ('*', (select id from cape_workers where instance = $4::uuid)))
         as paused,
       (select coalesce(json_agg(told), '[]') from told) as leases`;

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
  return answer ?? { registered: false, paused: false, leases: [] };
}

const BEAT = `
with
  asked as materialized (select * from unnest($1::int[], $2::uuid[]) as v(id, token)),
  before as materialized (select issue_id, token from cape_leases where issue_id = any($1::int[])),
  locked as materialized (
    select issue_id, token from cape_leases where issue_id = any($1::int[]) and token = any($2::uuid[])
     order by issue_id for no key update skip locked),
  renewed as (
    update cape_leases l set lease_until = now() + $3::float8 * interval '1 second'
      from asked join locked on locked.issue_id = asked.id and locked.token = asked.token
     where l.issue_id = any($1::int[]) and l.issue_id = asked.id and l.token = asked.token
    returning l.issue_id, l.token, l.cancel),
  states as (
    select asked.id, asked.token, renewed.cancel as cancelled,
           case when renewed.token is not null then 'ok' when before.token is not null then 'busy' else 'lost' end as state
      from asked
      left join renewed on renewed.issue_id = asked.id and renewed.token = asked.token
      left join before on before.issue_id = asked.id and before.token = asked.token),
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
       (select coalesce(json_agg(states), '[]') from states) as leases`;

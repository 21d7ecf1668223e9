/** Workers and settlements for tests of the queue: the statements are real, only the commands are missing. */
import { randomUUID } from 'node:crypto';
import type postgres from 'postgres';
import type { Claim, Status } from '../../src/core/issue.js';
import type { Charge, OutcomeKind, Verdict } from '../../src/core/outcome.js';
import type { Queryable } from '../../src/db/connect.js';
import { type ClaimRequest, claim, START } from '../../src/queue/claim.js';
import { beat } from '../../src/queue/lease.js';
import type { Settlement } from '../../src/queue/settle.js';
import { type Registration, register } from '../../src/queue/workers.js';

export interface Actor {
  readonly id: string;
  readonly instance: string;
}

export function registration(id: string, instance: string = randomUUID()): Registration {
  return {
    id,
    instance,
    host: 'test-host',
    machine: 'machine-1',
    pid: process.pid,
    pidStart: '1',
    version: '0.1.0',
    slots: 1,
    logDir: '/var/log/cape',
  };
}

/** A registered worker. */
export async function actor(db: Queryable, id = `w-${randomUUID()}`): Promise<Actor> {
  const self = registration(id);
  await register(db, self);
  return { id, instance: self.instance };
}

export function request(worker: Actor, more: Partial<ClaimRequest> = {}): ClaimRequest {
  return {
    worker: worker.id,
    instance: worker.instance,
    limit: 10,
    token: randomUUID(),
    leaseSeconds: 300,
    hint: START,
    ...more,
  };
}

export async function claimAs(db: Queryable, worker: Actor, more: Partial<ClaimRequest> = {}): Promise<Claim[]> {
  return (await claim(db, request(worker, more))).claims;
}

/** Renews and gives the state of each lease by issue. */
export async function renewed(db: Queryable, worker: Actor, claims: readonly Claim[]) {
  const leases = claims.map(({ issue, token }) => ({ id: issue.id, token }));
  const answer = await beat(db, {
    instance: worker.instance,
    waiting: false,
    leases,
    leaseSeconds: 300,
  });
  return Object.fromEntries(answer.leases.map(({ id, state, cancelled }) => [id, cancelled ?? state]));
}

export function ended(claimed: Claim, verdict: Verdict, outcome: OutcomeKind, more: object = {}): Settlement {
  return {
    id: claimed.issue.id,
    token: claimed.token,
    verdict,
    outcome: { kind: outcome, ...more },
    logPath: '/var/log/cape/1.log',
    logHost: 'test-host',
  };
}

export function done(claimed: Claim, more: object = {}): Settlement {
  return ended(claimed, { action: 'finish', status: 'completed', charge: 'none' }, 'succeeded', more);
}

export function requeued(claimed: Claim, delayMs = 0, charge: Charge = 'none'): Settlement {
  return ended(claimed, { action: 'requeue', delayMs, charge }, charge === 'failure' ? 'failed' : 'interrupted');
}

/** Inserts pending issues as any other program would, one per description. */
export async function insert(sql: postgres.Sql, ...descriptions: string[]): Promise<number[]> {
  const rows =
    await sql`insert into cape_issues ${sql(descriptions.map((description) => ({ description })))} returning id`;
  return rows.map(({ id }) => id);
}

export interface StoredIssue {
  status: Status;
  leased: boolean;
  attempt: number;
  failures: number;
  crashes: number;
  snoozes: number;
  assigned_worker_id: string | null;
  target_worker_id: string | null;
  started_at: Date | null;
  completed_at: Date | null;
  run_at: Date | null;
  result: string | null;
  last_error: string | null;
}

export async function stored(sql: postgres.Sql, id: number): Promise<StoredIssue> {
  const [row] = await sql<StoredIssue[]>`select * from cape_issues where id = ${id}`;
  if (!row) throw new Error(`no issue ${id}`);
  return row;
}

export function ids(claims: readonly Claim[]): number[] {
  return claims.map(({ issue }) => issue.id);
}

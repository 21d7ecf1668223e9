// Claims and settles by the queue's own statements, so that it is the SQL that is measured, on a table in some state.
// Job: { url, fill } brings it about: { history, pending, parked, directed }, rows each.
// Job: { url, turns: [{ work, batch }] } claims and settles so many with the backlog kept as it is.
// Job: { url, renew } renews so many leases, 200 times.
import { randomUUID } from 'node:crypto';
import postgres from 'postgres';
import { connect } from '../../../dist/db/connect.js';
import { START } from '../../../dist/queue/claim.js';
import { beat } from '../../../dist/queue/lease.js';
import { settleAndClaim } from '../../../dist/queue/settle-claim.js';
import { register } from '../../../dist/queue/workers.js';
import { contend } from './contend.mjs';

/** As the worker's own claim loop. */
const HINT_MS = 2000;
const RENEWALS = 200;

await contend(async (job, ready) => {
  const sql = postgres(job.url, { max: 2, onnotice: () => {} });
  if (job.fill) return fill(sql, job.fill);
  const db = connect({ url: job.url, schema: 'public', applicationName: 'bench', planner: true });
  const worker = await arrive(db);
  if (job.renew) return renew(db, sql, worker, job.renew);
  await ready();
  const said = {};
  for (const { work, batch } of job.turns) said[`by${batch}`] = await laps(db, sql, worker, work, batch);
  return said;
});

/** Without triggers, and so a million rows take seconds. */
async function fill(sql, { history = 0, pending = 0, parked = 0, directed = 0 }) {
  await sql.begin(async (tx) => {
    await tx`set local session_replication_role = replica`;
    await tx`
      insert into cape_issues (description, status, attempt, assigned_worker_id, started_at, completed_at)
      select 'issue ' || n, 'completed', 1, 'former', now(), now() from generate_series(1, ${history}) n`;
    await tx`
      insert into cape_attempts (issue_id, attempt, token, worker_id, started_at, outcome, exit_code)
      select id, 1, ${randomUUID()}, 'former', now(), 'succeeded', 0 from cape_issues where status = 'completed'`;
    await tx`insert into cape_issues (description) select 'issue ' || n from generate_series(1, ${pending}) n`;
    await tx`
      insert into cape_issues (description, run_at) select 'issue ' || n, now() + interval '1 day'
        from generate_series(1, ${parked}) n`;
    await tx`
      insert into cape_issues (description, assigned_worker_id) select 'issue ' || n, 'dead'
        from generate_series(1, ${directed}) n`;
  });
  await sql`vacuum (analyze)`;
  return {};
}

async function arrive(db) {
  const worker = { id: `bench-${process.pid}`, instance: randomUUID() };
  const self = { ...worker, host: 'bench', machine: 'bench', pid: process.pid, pidStart: '0', version: '0', slots: 1 };
  await register(db, { ...self, logDir: null });
  return worker;
}

/** A loop like the worker's: settles what the turn before has claimed. */
function looper(db, worker) {
  let hint = START;
  let hintUntil = 0;
  let inHand = [];
  return async (limit) => {
    const now = performance.now();
    if (now >= hintUntil) {
      hint = START;
      hintUntil = now + HINT_MS;
    }
    const request = {
      worker: worker.id,
      instance: worker.instance,
      limit,
      token: randomUUID(),
      leaseSeconds: 300,
      hint,
    };
    const answer = await settleAndClaim(db, inHand.map(settlementOf), request);
    const written = answer.settled.filter(({ status }) => status === 'completed').length;
    if (written !== inHand.length) throw new Error(`${written} of ${inHand.length} were settled`);
    ({ hint, claims: inHand } = answer);
    return inHand.length;
  };
}

function settlementOf({ issue, token }) {
  const verdict = { action: 'finish', status: 'completed', charge: 'none' };
  return { id: issue.id, token, verdict, outcome: { kind: 'succeeded', exitCode: 0 }, logPath: null, logHost: null };
}

/** The clock stands still while the backlog is filled up again. */
async function laps(db, sql, worker, work, batch) {
  const turn = looper(db, worker);
  const [{ pending }] = await sql`
    select count(*)::int as pending from cape_issues where status = 'pending' and run_at is null and assigned_worker_id is null`;
  // Never all of it: who claims from an empty queue claims for ever.
  const lap = Math.min(work, batch * 5, Math.ceil(pending / 2));
  let seconds = 0;
  let done = 0;
  while (done < work) {
    const began = performance.now();
    let claimed = 0;
    while (claimed < lap) claimed += await turn(Math.min(batch, lap - claimed));
    await turn(0);
    seconds += (performance.now() - began) / 1000;
    done += claimed;
    await fillUp(sql, claimed);
  }
  return done / seconds;
}

async function fillUp(sql, count) {
  await sql.begin(async (tx) => {
    await tx`set local session_replication_role = replica`;
    await tx`insert into cape_issues (description) select 'issue ' || n from generate_series(1, ${count}) n`;
  });
}

async function renew(db, sql, worker, count) {
  await fillUp(sql, count);
  const answer = await looperClaims(db, worker, count);
  const leases = answer.claims.map(({ issue, token }) => ({ id: issue.id, token }));
  if (leases.length !== count) throw new Error(`${leases.length} leases, not ${count}`);
  const before = await updatesOf(sql);
  const times = [];
  for (let n = 0; n < RENEWALS; n++) {
    const began = performance.now();
    const { leases: states } = await beat(db, { instance: worker.instance, waiting: false, leases, leaseSeconds: 300 });
    times.push(performance.now() - began);
    if (states.some(({ state }) => state !== 'ok')) throw new Error('a lease was not renewed');
  }
  await db.close(); // a session that ends says what it has counted
  const after = await waitFor(sql, before.all + RENEWALS * count);
  times.sort((a, b) => a - b);
  return { ms: times[RENEWALS / 2], hot: (after.hot - before.hot) / (after.all - before.all) };
}

function looperClaims(db, { id, instance }, limit) {
  return settleAndClaim(db, [], { worker: id, instance, limit, token: randomUUID(), leaseSeconds: 300, hint: START });
}

async function updatesOf(sql) {
  const [row] = await sql`
    select n_tup_upd::int as all, n_tup_hot_upd::int as hot from pg_stat_user_tables where relname = 'cape_leases'`;
  return row;
}

async function waitFor(sql, all) {
  for (;;) {
    const counted = await updatesOf(sql);
    if (counted.all >= all) return counted;
    await new Promise((again) => setTimeout(again, 50));
  }
}

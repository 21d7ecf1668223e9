/**
 * What a worker costs that has nothing to do: processor time, statements, connections, memory. With `more`, which only
 * cape-worker's command line is asked for, then also: how late a `run_at` fires, what one running command adds, and
 * what is left in memory of much output.
 * Job: url, queue (a key of QUEUES), seconds, folder, more: { outputBytes, parked }.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { countingProxy } from './counting-proxy.mjs';
import { plainClient, QUEUES, startWorker } from './queues.mjs';
import { cpuOf, keeperOf, memoryOf } from './usage.mjs';

/** A worker that has just started has things to look after. */
const SETTLES_MS = 3000;

const job = JSON.parse(process.argv[2]);
const queue = QUEUES[job.queue];
const folder = join(job.folder, `idle-${process.pid}`);
mkdirSync(folder, { recursive: true });
await queue.prepare(job.url, true);
const proxy = await countingProxy(job.url);
const sql = plainClient(job.url);
// For us the command line, and the description is what its shell does.
const command = job.queue === 'cape' ? 'sh -c {description}' : ['true'];
const worker = startWorker(queue, proxy.url, { folder, command });
try {
  await worker.ready;
  await pause(Math.min(SETTLES_MS, job.seconds * 500));
  const idle = await idleFor(job.seconds);
  const more = job.more ? { ...(await parked(job.more)), ...(await running()), ...(await flooded(job.more)) } : {};
  console.log(JSON.stringify({ ...idle, ...more }));
} finally {
  await worker.stop();
  await sql.end();
  proxy.close();
  rmSync(folder, { recursive: true, force: true });
}

async function idleFor(seconds) {
  const before = { cpu: cpuOf(worker.pid), statements: proxy.count.statements };
  await pause(seconds * 1000);
  const [{ connections }] = await sql`
    select count(*)::int as connections from pg_stat_activity
     where datname = current_database() and backend_type = 'client backend' and pid <> pg_backend_pid()`;
  return {
    cpuPercent: ((cpuOf(worker.pid) - before.cpu) / seconds) * 100,
    statements: ((proxy.count.statements - before.statements) / seconds) * 60,
    connections,
    rss: memoryOf(worker.pid).rss,
  };
}

/** All clocks are the database's: what was asked for beside when the claim began. */
async function parked({ parked: count }) {
  const rows = await sql`
    insert into cape_issues (description, run_at)
    select 'true', now() + (1 + random()) * n * interval '0.4 seconds' from generate_series(1, ${count}::int) n
    returning id, run_at::text`;
  await done(rows.map(({ id }) => id));
  const late = await sql`
    select extract(epoch from min(a.started_at) - wanted.run_at)::float8 * 1000 as ms
      from unnest(${rows.map(({ id }) => id)}::int[], ${rows.map(({ run_at }) => run_at)}::text[]::timestamptz[]) wanted (id, run_at)
      join cape_attempts a on a.issue_id = wanted.id group by wanted.id, wanted.run_at order by ms`;
  return { lateMs: late[late.length >> 1].ms, latestMs: late.at(-1).ms };
}

async function running() {
  const [{ id }] = await sql`insert into cape_issues (description) values ('sleep 2') returning id`;
  await pause(1500);
  const [own, keeper] = [memoryOf(worker.pid), memoryOf(keeperOf(worker.pid))];
  await done([id]);
  return { runningWorker: own.rss, runningKeeper: keeper.rss, runningPss: own.pss + keeper.pss };
}

/** Lines of 80 bytes, as fast as they are taken. */
async function flooded({ outputBytes }) {
  const flood = async (bytes) => {
    const script = `yes ${'x'.repeat(79)} | head -c ${bytes}`;
    const [{ id }] = await sql`insert into cape_issues (description) values (${script}) returning id`;
    await done([id]);
    await pause(500);
    return [memoryOf(worker.pid).rss, memoryOf(keeperOf(worker.pid)).rss];
  };
  // A first little one: what the code for output takes is no growth with output.
  const before = await flood(1_000_000);
  const after = await flood(outputBytes);
  return { grownWorker: after[0] - before[0], grownKeeper: after[1] - before[1] };
}

async function done(ids) {
  for (const end = Date.now() + 120_000; Date.now() < end; await pause(50)) {
    const [{ open }] = await sql`
      select count(*)::int as open from cape_issues where id = any(${ids}::int[]) and completed_at is null`;
    if (open === 0) return;
  }
  throw new Error('waited 120 s for issues to end');
}

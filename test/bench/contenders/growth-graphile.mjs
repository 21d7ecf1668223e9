// graphile-worker's claims and completions on a backlog. Job: { url, fill: pending } brings it about;
// { url, work, concurrency } adds so many and works so many off; or, with `dead`, adds none and has so many others worked
// off before, under a snapshot held open, and `warm` of its own, which count for nothing.

import { Logger, run, runMigrations } from 'graphile-worker-17';
import postgres from 'postgres';
import { contend } from './contend.mjs';
import { graphilePreset } from './graphile-preset.mjs';

await contend(async ({ url, fill, dead = 0, warm = 0, work, concurrency }, ready) => {
  const preset = graphilePreset({ url, Logger, tuned: true, concurrency });
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  if (fill) {
    await runMigrations({ preset });
    await add(sql, fill);
    await sql`vacuum (analyze)`;
    return {};
  }
  if (dead > 0) {
    const other = postgres(url, { max: 1, onnotice: () => {} });
    await other.unsafe('begin isolation level repeatable read; select 1');
    // What working them off leaves, in one go: an old version for the lock, one for the end.
    await sql`update graphile_worker._private_jobs set locked_at = now() where id <= ${dead}`;
    await sql`delete from graphile_worker._private_jobs where id <= ${dead}`;
  } else {
    await add(sql, work);
  }
  await ready();
  let calls = 0;
  let began = 0;
  let ended;
  const all = new Promise((resolve) => {
    ended = resolve;
  });
  const task = () => {
    calls += 1;
    if (calls === warm + 1) began = performance.now();
    if (calls === warm + work) ended(performance.now());
  };
  await run({ preset, taskList: { task } });
  return { rate: work / (((await all) - began) / 1000) };
});

async function add(sql, count) {
  await sql`insert into graphile_worker._private_tasks (identifier) values ('task') on conflict do nothing`;
  await sql`
    insert into graphile_worker._private_jobs (task_id, payload)
    select t.id, '{}' from graphile_worker._private_tasks t, generate_series(1, ${count}) where t.identifier = 'task'`;
}

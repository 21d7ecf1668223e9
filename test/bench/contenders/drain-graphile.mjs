// Works a queue off with graphile-worker. Job: { url, issues, package, tuned, concurrency, command? }
import postgres from 'postgres';
import { contend, drainClock } from './contend.mjs';
import { graphilePreset } from './graphile-preset.mjs';
import { taskOf } from './tasks.mjs';

const EMPTY = 'select not exists (select from graphile_worker._private_jobs) as empty';

await contend(async ({ url, issues, package: name, tuned, concurrency, command }, ready) => {
  const { Logger, run, runMigrations } = await import(name);
  const preset = graphilePreset({ url, Logger, tuned, concurrency });
  await runMigrations({ preset });
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  // One call for all: add_job once a row takes 40 s for 20,000.
  await sql`
    select count(*) from graphile_worker.add_jobs(array(
      select ('task', json_build_object('id', n), null, null, null, null, null, null)::graphile_worker.job_spec
        from generate_series(1, ${issues}) n))`;
  await sql`vacuum (analyze)`;
  const clock = drainClock(issues, sql, EMPTY);
  await ready();
  await run({ preset, taskList: { task: taskOf(command, clock.tick) } });
  return { seconds: await clock.seconds() };
});

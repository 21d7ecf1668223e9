// Works a queue off with a handler that does nothing. Job: { url, issues, concurrency, claimAhead? }
import postgres from 'postgres';
import { IssueWorker } from '../../../dist/index.js';
import { contend, drainClock } from './contend.mjs';

const EMPTY = "select not exists (select from cape_issues where status in ('pending', 'started')) as empty";

await contend(async ({ url, issues, concurrency, claimAhead }, ready) => {
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  await sql`insert into cape_issues (description) select 'issue ' || n from generate_series(1, ${issues}) as n`;
  await sql`vacuum (analyze)`;
  const clock = drainClock(issues, sql, EMPTY);
  const worker = new IssueWorker({
    databaseUrl: url,
    workerId: 'bench',
    concurrency,
    ...(claimAhead !== undefined && { claimAhead }),
    handler: () => clock.tick(),
  });
  await ready();
  const ran = worker.run();
  const seconds = await Promise.race([clock.seconds(), ran.then(() => Promise.reject(new Error('it has stopped')))]);
  const [{ completed, history }] = await sql`
    select (select count(*)::int from cape_issues where status = 'completed') as completed,
           (select count(*)::int from cape_attempts) as history`;
  if (completed !== issues || history !== issues) throw new Error(`${completed} completed, ${history} in the history`);
  return { seconds };
});

// Works a queue off with pg-boss. Job: { url, issues, version, batch?, concurrency?, command? }
// Without `batch` as it comes: one job every two seconds.
import postgres from 'postgres';
import { contend, drainClock } from './contend.mjs';
import { limited, taskOf } from './tasks.mjs';

const EMPTY = "select not exists (select from pgboss.job where state < 'completed') as empty";
const QUEUE = 'tasks';
const INSERTED_AT_ONCE = 5000;

await contend(async ({ url, issues, version, batch, concurrency = 1, command }, ready) => {
  const module = await import(`pg-boss-${version}`);
  const boss = new (module.PgBoss ?? module.default)({ connectionString: url });
  boss.on('error', (error) => console.error(error));
  await boss.start();
  await boss.createQueue(QUEUE);
  await insert(boss, version, issues);
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  await sql`vacuum (analyze)`;
  const clock = drainClock(issues, sql, EMPTY);
  await ready();
  if (batch === undefined) {
    await boss.work(QUEUE, async (jobs) => clock.tick(jobs.length));
    // There is one pause fewer than jobs.
    return { seconds: ((await clock.seconds()) * issues) / (issues - 1) };
  }
  const task = taskOf(command, clock.tick);
  const options = {
    batchSize: batch,
    pollingIntervalSeconds: 0.5,
    ...(version !== '10' && { burstWhenBatchFull: true }),
  };
  const worker = await boss.work(QUEUE, options, async (jobs) => {
    // What burst mode is in 12: the next fetch does not wait for the interval.
    if (version === '10') boss.notifyWorker(worker);
    if (command === undefined) clock.tick(jobs.length);
    else await limited(jobs, concurrency, task);
  });
  return { seconds: await clock.seconds() };
});

async function insert(boss, version, issues) {
  for (let done = 0; done < issues; done += INSERTED_AT_ONCE) {
    const ids = Array.from({ length: Math.min(INSERTED_AT_ONCE, issues - done) }, (_, index) => done + index);
    if (version === '10') await boss.insert(ids.map((id) => ({ name: QUEUE, data: { id } })));
    else
      await boss.insert(
        QUEUE,
        ids.map((id) => ({ data: { id } })),
      );
  }
}

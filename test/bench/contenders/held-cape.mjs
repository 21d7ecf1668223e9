// A worker with a handler that does nothing, while a snapshot is held open. Job: { url, warm, work, concurrency }: of the
// issues that are queued, the first `warm` count for nothing; told is the rate of the first and the last twentieth of `work`.
import postgres from 'postgres';
import { IssueWorker } from '../../../dist/index.js';
import { contend } from './contend.mjs';

await contend(async ({ url, warm, work, concurrency }, ready) => {
  // What a backup does. It ends with the process.
  const other = postgres(url, { max: 1, onnotice: () => {} });
  await other.unsafe('begin isolation level repeatable read; select 1');
  await ready();
  const part = work / 20;
  const times = [];
  let calls = 0;
  let ended;
  const all = new Promise((resolve) => {
    ended = resolve;
  });
  const handler = () => {
    if (calls >= warm && (calls - warm) % part === 0) times.push(performance.now());
    calls += 1;
    if (calls === warm + work) ended();
  };
  const worker = new IssueWorker({ databaseUrl: url, workerId: 'bench', concurrency, handler });
  const ran = worker.run();
  await Promise.race([all, ran.then(() => Promise.reject(new Error('it has stopped')))]);
  times.push(performance.now());
  worker.stop();
  await ran;
  const rateOf = (index) => part / ((times[index + 1] - times[index]) / 1000);
  return { first: rateOf(0), last: rateOf(19) };
});

/**
 * From an INSERT to the first instruction of its work, on an idle worker: this process is the client that inserts, the
 * worker is another. The next INSERT comes at random 5 to 30 ms after the last one's work is done and written (within
 * one interval where the worker polls), so that the worker waits again and no beat of its own is met.
 * Job: url, queue (a key of QUEUES), work ('handler' or 'command'), samples, folder, file (for the samples, as JSON),
 * pollMs (only polling, that often).
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { clock, clockProgram, hearTimes } from './clock.mjs';
import { plainClient, QUEUES, startWorker } from './queues.mjs';

const job = JSON.parse(process.argv[2]);
const queue = QUEUES[job.queue];
const folder = join(job.folder, `latency-${process.pid}`);
mkdirSync(folder, { recursive: true });
const times = hearTimes(folder);
const client = await prepare();
const worker = startWorker(queue, job.url, { folder, pollMs: job.pollMs, ...whatToDo() });
try {
  await worker.ready;
  await until(client.waits);
  // With a command, its keeper starts first.
  const first = await sample();
  const samples = [];
  while (samples.length < job.samples) samples.push(await sample());
  writeFileSync(job.file, JSON.stringify(samples));
  console.log(JSON.stringify({ first, samples: samples.length }));
} finally {
  await worker.stop();
  await client.close();
  times.close();
  rmSync(folder, { recursive: true, force: true });
}

async function prepare() {
  await queue.prepare(job.url, job.pollMs === undefined);
  if (job.pollMs !== undefined && queue.deafen) {
    const sql = plainClient(job.url);
    await queue.deafen(sql);
    await sql.end();
  }
  return queue.open(job.url);
}

function whatToDo() {
  if (job.work === 'handler') return { handler: { fifo: times.fifo } };
  const words = [clockProgram(folder), times.fifo];
  return { command: job.queue === 'cape' ? words.map((word) => `'${word}'`).join(' ') : words };
}

async function sample() {
  await pause(job.pollMs === undefined ? 5 + 25 * Math.random() : job.pollMs * Math.random());
  const begun = times.next();
  const sent = clock();
  const id = await client.add();
  const began = await begun;
  await until(() => client.isDone(id));
  return began - sent;
}

async function until(check) {
  for (const end = clock() + 30_000; !(await check()); await pause(2))
    if (clock() > end) throw new Error('waited for 30 s');
}

/**
 * From the start of a process to its first claim, of an issue that waits already. Seen from outside: a trigger notifies,
 * and the time is when the notification arrives here.
 * Job: url, queue (a key of QUEUES), work ('handler' or 'command'), starts, folder.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { clock, hearTimes } from './clock.mjs';
import { plainClient, QUEUES, startWorker } from './queues.mjs';

const job = JSON.parse(process.argv[2]);
const queue = QUEUES[job.queue];
const folder = join(job.folder, `start-${process.pid}`);
mkdirSync(folder, { recursive: true });
const times = hearTimes(folder);
await queue.prepare(job.url);
const sql = plainClient(job.url);
await queue.tellClaims(sql);
let claimed = () => {};
const listener = await sql.listen('bench', () => claimed());
const client = await queue.open(job.url);
const samples = [];
try {
  // The first one reads the program from the disk.
  await start();
  while (samples.length < job.starts) samples.push(await start());
  console.log(JSON.stringify({ ms: samples.sort((a, b) => a - b)[samples.length >> 1] }));
} finally {
  await listener.unlisten();
  await Promise.all([sql.end(), client.close()]);
  times.close();
  rmSync(folder, { recursive: true, force: true });
}

async function start() {
  const id = await client.add();
  const claim = new Promise((resolve, reject) => {
    claimed = () => resolve(clock());
    setTimeout(() => reject(new Error('no claim within 30 s')), 30_000).unref();
  });
  const began = clock();
  const work = job.work === 'handler' ? { handler: { fifo: times.fifo } } : { command: 'true' };
  const worker = startWorker(queue, job.url, { folder, ...work });
  try {
    const took = (await claim) - began;
    await worker.ready;
    while (!(await client.isDone(id))) await new Promise((done) => setTimeout(done, 10));
    return took;
  } finally {
    await worker.stop();
  }
}

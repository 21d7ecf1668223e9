/**
 * Output on its way: from a command to the file of its attempt, and to a reader that follows (`issues logs -f`) in a
 * process of its own. Job: url, bytes, timedLines, folder.
 */
import { spawn } from 'node:child_process';
import { createWriteStream, mkdirSync, rmSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { pipeline } from 'node:stream/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { clock } from './clock.mjs';
import { MAIN, plainClient, QUEUES, startWorker } from './queues.mjs';
import { keeperOf, memoryOf } from './usage.mjs';

const LINE = 80;

const job = JSON.parse(process.argv[2]);
const folder = join(job.folder, `output-${process.pid}`);
mkdirSync(folder, { recursive: true });
await QUEUES.cape.prepare(job.url);
const sql = plainClient(job.url);
const script = `yes ${'x'.repeat(LINE - 1)} | head -c ${job.bytes}`;
const worker = startWorker(QUEUES.cape, job.url, { folder, command: 'sh -c {description}', outputLimit: '16GiB' });
try {
  await worker.ready;
  await run('true'); // its keeper, too
  const floor = await bareNode();
  const file = await flood(false);
  const followed = await flood(true);
  const ages = await followSlowly();
  console.log(
    JSON.stringify({ floor: floor.mbs, file: file.mbs, fileGrowth: file.growth, ...named(followed), ...ages }),
  );
} finally {
  await worker.stop();
  await sql.end();
  rmSync(folder, { recursive: true, force: true });
}

function named({ mbs, growth, readerMbs, readerRss }) {
  return { followedFile: mbs, followedGrowth: growth, reader: readerMbs, readerRss };
}

/** What Node does by itself: the command's pipe into a file. */
async function bareNode() {
  const began = clock();
  const child = spawn('sh', ['-c', script], { stdio: ['ignore', 'pipe', 'ignore'] });
  await pipeline(child.stdout, createWriteStream(join(folder, 'bare')));
  const mbs = job.bytes / 1e3 / (clock() - began);
  rmSync(join(folder, 'bare'));
  return { mbs };
}

async function flood(follows) {
  const before = memory();
  let most = before;
  const watch = setInterval(() => {
    most = memory().map((mib, i) => Math.max(mib, most[i]));
  }, 100);
  const id = await add(script);
  const reader = follows ? follow(id) : null;
  await ended(id);
  const [{ ms }] = await sql`
    select extract(epoch from completed_at - started_at)::float8 * 1000 as ms from cape_issues where id = ${id}`;
  const read = await reader?.done;
  clearInterval(watch);
  if (read && read.bytes !== job.bytes) throw new Error(`the reader got ${read.bytes} of ${job.bytes} bytes`);
  return {
    mbs: job.bytes / 1e3 / ms,
    growth: Math.max(...most.map((mib, i) => mib - before[i])),
    ...(read ? { readerMbs: read.bytes / 1e3 / read.ms, readerRss: read.rss } : {}),
  };
}

/** Worker and keeper. */
function memory() {
  return [worker.pid, keeperOf(worker.pid)].map((pid) => memoryOf(pid)?.rss ?? 0);
}

/** Counts what a reader prints; its time begins with its first byte, so without its own start. */
function follow(id, onLine) {
  const env = {
    PATH: `${dirname(process.execPath)}${delimiter}${process.env.PATH}`,
    HOME: folder,
    DATABASE_URL: job.url,
  };
  const child = spawn(MAIN, ['issues', 'logs', String(id), '-f'], {
    env,
    cwd: folder,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let [bytes, first, rss] = [0, null, 0];
  if (onLine) createInterface({ input: child.stdout }).on('line', onLine);
  else
    child.stdout.on('data', (chunk) => {
      first ??= clock();
      bytes += chunk.length;
    });
  const watch = setInterval(() => {
    rss = Math.max(rss, memoryOf(child.pid)?.rss ?? 0);
  }, 100);
  const done = new Promise((resolve) =>
    child.once('close', () => {
      clearInterval(watch);
      resolve({ bytes, ms: clock() - first, rss });
    }),
  );
  return { done };
}

/** A command that prints the time now and then: how old is a line when the reader has it? */
async function followSlowly() {
  const program = `let n = 0; const t = setInterval(() => { console.log(String(process.hrtime.bigint())); if (++n === ${job.timedLines}) clearInterval(t); }, 47)`;
  const id = await add(`'${process.execPath}' -e '${program}'`);
  const ages = [];
  await follow(id, (line) => ages.push(clock() - Number(line) / 1e6)).done;
  ages.sort((a, b) => a - b);
  // The first ones were printed while the reader started.
  const seen = ages.filter((age) => age < 400);
  return { ageP50: seen[seen.length >> 1], ageMost: seen.at(-1) };
}

async function run(description) {
  await ended(await add(description));
}

async function add(description) {
  return (await sql`insert into cape_issues (description) values (${description}) returning id`)[0].id;
}

async function ended(id) {
  while ((await sql`select from cape_issues where id = ${id} and completed_at is not null`).length === 0)
    await pause(20);
}

// How long from an INSERT to the first instruction of its command, on an idle worker.
// Usage: node scripts/start-latency.mjs [--samples 50]
// It starts an embedded Postgres and a worker of its own in a temporary folder and touches nothing else.
// The command appends its start time to a file; inserts come one by one from a plain client, each after the last ended.
import { spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import postgres from 'postgres';
import { startEmbedded } from '../dist/db/embedded/index.js';
import { migrate } from '../dist/index.js';

const samples = Number(parseArgs({ options: { samples: { type: 'string', default: '50' } } }).values.samples);
const folder = mkdtempSync(join(tmpdir(), 'cape-latency-'));
// Run as root, the server has a user of its own, who has to get in.
chmodSync(folder, 0o711);
const seen = join(folder, 'started');
const main = new URL('../dist/cli/main.js', import.meta.url).pathname;

// EPOCHREALTIME is bash's and costs no process; `date` would add its own start to each sample.
writeFileSync(join(folder, 'command.sh'), `#!/bin/bash\necho "$CAPE_ISSUE_ID $EPOCHREALTIME" >> '${seen}'\n`, {
  mode: 0o755,
});
writeFileSync(seen, '');

const server = await startEmbedded({ dataDir: join(folder, 'data') });
const sql = postgres(server.url, { max: 1, onnotice: () => {} });
let worker;
try {
  await migrate({ url: server.url, schema: 'public' });
  worker = await startWorker();
  const times = [];
  for (let n = 0; n < samples; n++) times.push(await sample(n));
  report(times.sort((a, b) => a - b));
} finally {
  await stop(worker);
  await sql.end();
  await server.release();
  rmSync(folder, { recursive: true, force: true });
}

async function startWorker() {
  const args = [
    '--worker-id',
    'latency',
    '--command',
    `'${join(folder, 'command.sh')}'`,
    '--log-dir',
    join(folder, 'logs'),
  ];
  const child = spawn(process.execPath, [main, ...args], {
    cwd: folder,
    env: { PATH: process.env.PATH, HOME: folder, DATABASE_URL: server.url },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text) => (output += text));
  await until(() => output.includes('is ready'), 'the worker to be ready');
  return child;
}

async function sample(n) {
  // Idle again: it waits for a notification.
  await until(
    async () => (await sql`select from cape_workers where waiting_until > now()`).length === 1,
    'the worker to wait',
  );
  const sent = (performance.timeOrigin + performance.now()) / 1000;
  const [{ id }] = await sql`insert into cape_issues (description) values (${`sample ${n}`}) returning id`;
  const line = await until(
    () =>
      readFileSync(seen, 'utf8')
        .split('\n')
        .find((each) => each.startsWith(`${id} `)),
    `issue ${id}`,
  );
  await until(
    async () => (await sql`select from cape_issues where id = ${id} and status = 'completed'`).length === 1,
    `its end`,
  );
  return (Number(line.split(' ')[1].replace(',', '.')) - sent) * 1000;
}

async function until(check, what) {
  for (const end = performance.now() + 30_000; performance.now() < end; ) {
    const value = await check();
    if (value) return value;
    await new Promise((done) => setTimeout(done, 2));
  }
  throw new Error(`waited 30 s for ${what}`);
}

function report(sorted) {
  const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))].toFixed(1);
  console.log(`INSERT to the command's first instruction, ms, ${sorted.length} samples on an idle worker:`);
  console.log(`median ${at(0.5)}, p95 ${at(0.95)}, p99 ${at(0.99)}, min ${at(0)}, max ${sorted.at(-1).toFixed(1)}`);
}

async function stop(child) {
  if (!child || child.exitCode !== null) return;
  child.kill('SIGTERM');
  await new Promise((done) => child.once('exit', done));
}

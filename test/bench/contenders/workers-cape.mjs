// Several workers on one queue. Job: { url, issues, processes } drains it with so many workers, each a process of its own
// with a function that does nothing; { url, issues, simulated } claims by tens on so many connections, and settles nothing.
import { fork } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import postgres from 'postgres';
import { connect } from '../../../dist/db/connect.js';
import { IssueWorker } from '../../../dist/index.js';
import { claim, START } from '../../../dist/queue/claim.js';
import { register } from '../../../dist/queue/workers.js';
import { contend } from './contend.mjs';

const SLOTS = 24;
const CLAIM = 10;
const EMPTY = "select not exists (select from cape_issues where status in ('pending', 'started')) as empty";

if (process.send) child();
else
  await contend(async ({ url, issues, processes, simulated }, ready) => {
    const sql = postgres(url, { max: 1, onnotice: () => {} });
    await sql`insert into cape_issues (description) select 'issue ' || n from generate_series(1, ${issues}) as n`;
    await sql`vacuum (analyze)`;
    const told = processes
      ? await drain(sql, url, issues, processes, ready)
      : await race(url, issues, simulated, ready);
    const [{ deadlocks }] = await sql`
      select deadlocks::int from pg_stat_database where datname = current_database()`;
    return { ...told, deadlocks };
  });

async function drain(sql, url, issues, processes, ready) {
  const children = Array.from({ length: processes }, (_, n) => fork(import.meta.filename, [url, `bench-${n}`]));
  await Promise.all(children.map((each) => new Promise((up) => each.once('message', up))));
  await ready();
  const began = performance.now();
  for (const each of children) each.send('begin');
  while (!(await sql.unsafe(EMPTY))[0].empty) await new Promise((again) => setTimeout(again, 10));
  const seconds = (performance.now() - began) / 1000;
  await Promise.all(children.map((each) => new Promise((gone) => each.once('exit', gone) && each.send('stop'))));
  const [{ twice }] = await sql`select count(*)::int as twice from cape_attempts where attempt > 1`;
  if (twice > 0) throw new Error(`${twice} issues had more than one attempt`);
  return { rate: issues / seconds };
}

/** One worker. Its start does not count: it waits for the word. */
function child() {
  const [databaseUrl, workerId] = process.argv.slice(2);
  const worker = new IssueWorker({ databaseUrl, workerId, concurrency: SLOTS, handler: () => {} });
  process.on('message', async (word) => {
    if (word === 'stop') worker.stop();
    else await worker.run().finally(() => process.exit(0));
  });
  process.send('up');
}

/** Every claim is one transaction; a short answer while enough is left means that others had what it looked at. */
async function race(url, issues, simulated, ready) {
  const dbs = Array.from({ length: simulated }, () =>
    connect({ url, schema: 'public', applicationName: 'bench', planner: true }),
  );
  const workers = await Promise.all(dbs.map(arrive));
  await ready();
  const began = performance.now();
  let claimed = 0;
  let short = 0;
  let claims = 0;
  const work = async (db, index) => {
    let hint = START;
    while (claimed < issues - simulated * CLAIM) {
      const request = { ...workers[index], limit: CLAIM, token: randomUUID(), leaseSeconds: 300, hint };
      const answer = await claim(db, request);
      hint = answer.hint;
      claims += 1;
      claimed += answer.claims.length;
      if (answer.claims.length < CLAIM) short += 1;
    }
  };
  await Promise.all(dbs.map(work));
  const rate = claimed / ((performance.now() - began) / 1000);
  await Promise.all(dbs.map((db) => db.close()));
  return { rate, short: (100 * short) / claims };
}

async function arrive(db, index) {
  const self = { id: `bench-${index}`, instance: randomUUID(), host: 'bench', machine: 'bench', pid: process.pid };
  await register(db, { ...self, pidStart: '0', version: '0', slots: 1, logDir: null });
  return { worker: self.id, instance: self.instance };
}

// Inserts of plain SQL clients, one row a transaction, in short slices by turns: with our triggers and without them, with
// workers busy (nobody waits) and idle (one is marked as waiting). Job: { url, clients, rounds, sliceMs, bulk }
import { randomUUID } from 'node:crypto';
import postgres from 'postgres';
import { createClient } from '../../../dist/index.js';
import { contend } from './contend.mjs';

const WARM_MS = 80;
const BULK_ROWS = 1000;
const STATES = {
  none: 'alter table cape_issues disable trigger user',
  busy: 'alter table cape_issues enable trigger user; update cape_workers set waiting_until = null',
  idle: `alter table cape_issues enable trigger user; update cape_workers set waiting_until = now() + interval '1 hour'`,
};

await contend(async ({ url, clients, rounds, sliceMs, bulk }, ready) => {
  const admin = postgres(url, { max: 1, onnotice: () => {} });
  await admin`
    insert into cape_workers (id, instance, host, machine, pid, pid_start, version, slots)
    values ('bench', ${randomUUID()}, 'bench', 'bench', 1, '0', '0', 1)`;
  await admin.listen('cape_issues', () => {});
  const sqls = Array.from({ length: clients }, () => postgres(url, { max: 1, onnotice: () => {} }));
  await Promise.all(sqls.map((sql) => sql`select 1`));
  await ready();
  const rates = { none: [], busy: [], idle: [] };
  for (let round = 0; round < rounds; round++) {
    for (const state of shuffled(Object.keys(STATES))) {
      await admin.unsafe(STATES[state]);
      await rateOf(sqls, WARM_MS);
      rates[state].push(await rateOf(sqls, sliceMs));
    }
  }
  await admin.unsafe(STATES.busy);
  const said = Object.fromEntries(Object.entries(rates).map(([state, all]) => [state, median(all)]));
  return { ...said, bulk: await bulkRate(url, bulk) };
});

async function rateOf(sqls, ms) {
  const began = performance.now();
  let rows = 0;
  const insert = async (sql) => {
    while (performance.now() < began + ms) {
      await sql`insert into cape_issues (description) values (${`issue ${rows}`})`;
      rows += 1;
    }
  };
  await Promise.all(sqls.map(insert));
  return rows / ((performance.now() - began) / 1000);
}

/** As a program does that has many: our own client, a thousand a statement. */
async function bulkRate(databaseUrl, rows) {
  const client = createClient({ databaseUrl });
  const issues = Array.from({ length: Math.min(BULK_ROWS, rows) }, (_, n) => ({ description: `issue ${n}` }));
  await client.addMany(issues);
  const began = performance.now();
  for (let added = 0; added < rows; added += issues.length) await client.addMany(issues);
  const rate = rows / ((performance.now() - began) / 1000);
  await client.close();
  return rate;
}

function median(samples) {
  return samples.sort((a, b) => a - b)[Math.floor(samples.length / 2)];
}

function shuffled(names) {
  return names
    .map((name) => ({ name, at: Math.random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ name }) => name);
}

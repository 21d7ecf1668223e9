// How long the HTTP API takes with a million issues: creating 1,000 in one call, and a page of 50 in every filter that the
// page offers, with the plans behind it. On an embedded Postgres of its own; after a build.
//
//   node scripts/api-bench.mjs [--quick] [--write]
//
// --quick: 20,000 issues, to see that all of it runs. --write: writes docs/api-performance.md.
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { connect } from '../dist/db/connect.js';
import { startEmbedded } from '../dist/db/embedded/index.js';
import { migrate } from '../dist/db/migrate.js';
import { openServer } from '../dist/http/server.js';
import { page } from '../dist/queue/list.js';
import { stats } from '../dist/queue/stats.js';
import { history } from '../dist/queue/throughput.js';

const quick = process.argv.includes('--quick');
const ISSUES = quick ? 20_000 : 1_000_000;
const ROUNDS = quick ? 3 : 40;
const TOKEN = 'write-token-of-the-benchmark';
const GOALS = { create: 500, page: 20 };

/** What the page's filters can ask for. `nobody` and `nowhere` find nothing, which is the longest way. */
const FILTERS = [
  '',
  ...['pending', 'started', 'completed', 'failed', 'cancelled'].map((status) => `status=${status}`),
  'status=failed,cancelled',
  'status=pending,started,completed,failed,cancelled',
  'worker=w-3',
  'worker=down-1',
  'worker=nobody',
  'status=failed&worker=w-3',
  'status=pending&worker=down-1',
  'status=completed&worker=nobody',
  'search=parser',
  'search=nowhere',
  'search=n%C3%A4rrisch',
  'status=failed&search=parser',
  'status=completed&search=nowhere',
  'status=pending&search=nowhere',
  'worker=w-3&search=parser',
  'worker=nobody&search=nowhere',
];

/** 70 of 100 have ended, the oldest; then come those that wait, some for a worker that is not there or for a time. */
const FILL = `
  insert into cape_issues (description, priority, status, attempt, created_at, started_at, completed_at, assigned_worker_id, run_at)
  select 'Fix the ' || (array['login', 'build', 'parser', 'query plan', 'retry'])[1 + n % 5] || ' of module ' || n
           || repeat(' and say in a test why it broke', n % 8),
         n % 5, case when not ended then 'pending' when n % 50 = 0 then 'failed' when n % 200 = 1 then 'cancelled' else 'completed' end,
         ended::int, at, case when ended then at + interval '3 s' end, case when ended then at + interval '9 s' end,
         case when ended then 'w-' || n / 2 % 20 when n % 20 = 0 then 'down-1' end,
         case when not ended and n % 200 = 3 then now() + interval '1 day' end
    from (select n, n <= $1::int * 0.7 as ended, now() - ($1::int * 0.7 - n) * interval '50 ms' - interval '10 s' as at from generate_series(1, $1::int) n) numbers`;
const HISTORY = `
  insert into cape_attempts (issue_id, attempt, token, worker_id, started_at, ended_at, outcome)
  select id, 1, gen_random_uuid(), assigned_worker_id, started_at, completed_at,
         case status when 'completed' then 'succeeded' else status end
    from cape_issues where completed_at is not null order by id`;
const RUNNING = `
  with taken as (
    update cape_issues set status = 'started', leased = true, attempt = 1, started_at = now(), assigned_worker_id = 'w-3'
     where id in (select id from cape_issues where status = 'pending' and run_at is null and assigned_worker_id is null order by id limit 40)
    returning id)
  insert into cape_leases (issue_id, attempt, token, worker_id, lease_until)
  select id, 1, gen_random_uuid(), 'w-3', now() + interval '1 hour' from taken`;

async function fill(url) {
  const db = connect({ url, schema: 'public', applicationName: 'api-bench', deadlineMs: 600_000 });
  await db.transaction(async (tx) => {
    await tx.query('set local session_replication_role = replica');
    await tx.query(FILL, [ISSUES]);
    await tx.query(HISTORY);
    await tx.query(RUNNING);
  });
  // What autovacuum does within a minute or two; it also tells the index of the history what lies where.
  await db.query('vacuum analyze cape_issues');
  await db.query('vacuum analyze cape_attempts');
  return db;
}

/** Milliseconds of each of so many calls; one before them is not counted. */
async function timed(work, rounds) {
  const times = [];
  let answer;
  for (let n = -1; n < rounds; n++) {
    const start = performance.now();
    answer = await work();
    if (n >= 0) times.push(performance.now() - start);
  }
  times.sort((a, b) => a - b);
  return { median: times[times.length >> 1], most: times[Math.floor(times.length * 0.95)], answer };
}

/** What the statements of `work` read, a line for each scan of a table. */
async function scansOf(db, work) {
  const scans = [];
  const explaining = (to) => ({
    async query(text, params) {
      const [row] = await to.query(`explain (analyze, format json) ${text}`, params);
      scansIn(row['QUERY PLAN'][0].Plan, scans);
      return to.query(text, params);
    },
  });
  await work({ ...explaining(db), transaction: (inner) => db.transaction((tx) => inner(explaining(tx))) });
  const counts = new Map();
  for (const { name, rows } of scans) counts.set(name, (counts.get(name) ?? 0) + rows);
  return [...counts].filter(([, rows]) => rows > 0).map(([name, rows]) => `${name}: ${rows}`);
}

function scansIn(node, scans) {
  const where = node['Index Name'] ?? node['Relation Name'];
  if (where?.startsWith('cape_')) {
    const rows = Math.round(node['Actual Rows'] * node['Actual Loops']) + (node['Rows Removed by Filter'] ?? 0);
    scans.push({ name: `${node['Node Type']} on \`${where}\``, rows });
  }
  for (const child of node.Plans ?? []) scansIn(child, scans);
}

async function measure(db, url) {
  const log = { error: console.error, warn: console.error, info() {}, debug() {} };
  const tokens = [{ role: 'write', token: TOKEN }];
  const address = { host: '127.0.0.1', port: 0, hosts: [], rate: 1_000_000 };
  const server = await openServer({ databaseUrl: url, schema: 'public', ...address, tokens, log });
  const ask = async (path, options = {}) => {
    const headers = { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' };
    const answer = await fetch(server.url + path, { headers, ...options });
    const body = await answer.json();
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${JSON.stringify(body)}`);
    return body;
  };
  try {
    const pages = [];
    for (const filter of FILTERS) {
      const query = Object.fromEntries(new URLSearchParams(filter));
      const asked = { ...query, ...(query.status ? { status: query.status.split(',') } : {}) };
      const times = await timed(() => ask(`/api/issues?limit=50&summary=true&${filter}`), ROUNDS);
      pages.push({
        filter,
        ...times,
        scans: await scansOf(db, (explained) => page(explained, { ...asked, summary: true })),
      });
    }
    const others = [
      { name: '`GET /api/stats`', ...(await timed(() => ask('/api/stats'), ROUNDS)), scans: await scansOf(db, stats) },
      {
        name: '`GET /api/stats/history`',
        ...(await timed(() => ask('/api/stats/history'), ROUNDS)),
        scans: await scansOf(db, history),
      },
    ];
    const issues = Array.from({ length: 1000 }, (_, n) => ({
      description: `One of a thousand, number ${n}: say what is to be done`,
    }));
    const body = JSON.stringify({ issues });
    const create = await timed(() => ask('/api/issues', { method: 'POST', body }), quick ? 2 : 10);
    return { pages, others, create };
  } finally {
    await server.close();
  }
}

function report({ pages, others, create }, version) {
  const ms = (value) => value.toFixed(1);
  const thousand = (n) => n.toLocaleString('en');
  const found = ({ items, complete }) => `${items.length}${complete ? '' : ', goes on'}`;
  const rows = pages.map(
    ({ filter, median, most, answer }) =>
      `| ${filter ? `\`${decodeURIComponent(filter)}\`` : '(none)'} | ${ms(median)} | ${ms(most)} | ${found(answer)} |`,
  );
  const plans = [
    ...pages.map((one) => ({ name: one.filter ? `\`${decodeURIComponent(one.filter)}\`` : '(none)', ...one })),
    ...others,
  ];
  return `# How fast the API is

Measured over HTTP by \`node scripts/api-bench.mjs --write\` with ${thousand(ISSUES)} issues, of which 700 in 1,000 have ended, on ${cpus().length} processors with Postgres ${version} on the same machine. Milliseconds; of ${ROUNDS} calls the median, and what 95 of 100 stay under.

Creating 1,000 issues in one call: **${ms(create.median)}** (95 %: ${ms(create.most)}; goal ${GOALS.create}).

A page of 50 (goal ${GOALS.page}). Where it says "goes on", no index serves the filter: the page ends after 20,000 rows or 8 ms, and its cursor goes on from there.

| Filter | Median | 95 % | Issues |
| --- | --- | --- | --- |
${rows.join('\n')}

Numbers of the overview:

| Call | Median | 95 % |
| --- | --- | --- |
${others.map(({ name, median, most }) => `| ${name} | ${ms(median)} | ${ms(most)} |`).join('\n')}

## What they read

Every scan of a table by the statements of one call, with the rows that it met, as EXPLAIN (ANALYZE) tells them. The page reads where rows of a status are: those that wait in the claim's indexes, those in hand in \`cape_leases\`, all others in \`cape_issues_ended\`; then the issues themselves by their key.

| Call | Scans and rows |
| --- | --- |
${plans.map(({ name, scans }) => `| ${name} | ${scans.join('<br>')} |`).join('\n')}
`;
}

const folder = mkdtempSync(join(tmpdir(), 'cape-api-bench-'));
// For root the server runs as another user, who must get in.
chmodSync(folder, 0o755);
const postgres = await startEmbedded({ dataDir: join(folder, 'data'), log: () => {} });
try {
  const url = new URL(postgres.url);
  await migrate({ url: url.href, schema: 'public' });
  const db = await fill(url.href);
  const measured = await measure(db, url.href);
  const [{ version }] = await db.query(`select current_setting('server_version') as version`);
  await db.close();
  const text = report(measured, version);
  console.log(text);
  if (process.argv.includes('--write'))
    writeFileSync(fileURLToPath(new URL('../docs/api-performance.md', import.meta.url)), text);
  const late = measured.pages.filter(({ median }) => median > GOALS.page).map(({ filter }) => filter || '(none)');
  if (late.length > 0) console.log(`over ${GOALS.page} ms: ${late.join(', ')}`);
  if (measured.create.median > GOALS.create) console.log(`creating 1,000 took more than ${GOALS.create} ms`);
} finally {
  await postgres.release();
  rmSync(folder, { recursive: true, force: true });
}

// What is photographed: a server, workers and a Postgres of their own, with an hour behind them and issues under way.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import postgres from 'postgres';

const program = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const command = fileURLToPath(new URL('command.mjs', import.meta.url));
const TOKEN = 'write-token-of-the-pictures';

/** @returns where it is, a token, `api` to speak with it, `close` */
export async function openStage() {
  // Of root, the Postgres belongs to another account, which must get in.
  const folder = mkdtempSync(join(tmpdir(), 'cape-pictures-'));
  chmodSync(folder, 0o711);
  const { startEmbedded } = await import('../../dist/db/embedded/index.js');
  const database = await startEmbedded({ dataDir: join(folder, 'database'), log: () => {} });
  const { migrate } = await import('../../dist/db/migrate.js');
  await migrate({ url: database.url, schema: 'public' });
  const sql = postgres(database.url, { max: 1, onnotice: () => {} });
  await livePast(sql);
  const children = [];
  const env = {
    PATH: process.env.PATH,
    HOME: folder,
    DATABASE_URL: database.url,
    CAPE_API_TOKENS: `write:${TOKEN},read:read-${TOKEN}`,
    CAPE_HTTP_RATE: '100000',
  };
  const start = (...args) => {
    const child = spawn(process.execPath, [program, ...args], { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] });
    child.text = '';
    for (const out of [child.stdout, child.stderr]) out.on('data', (chunk) => (child.text += chunk));
    children.push(child);
    return child;
  };
  const port = await freePort();
  start('serve', '--port', String(port));
  const url = `http://127.0.0.1:${port}`;
  for (const [id, slots] of [
    ['build-1', '2'],
    ['build-2', '4'],
  ]) {
    const line = `'${process.execPath}' '${command}' {id} {description}`;
    start(
      'run',
      '--worker-id',
      id,
      '--concurrency',
      slots,
      '--log-dir',
      join(folder, 'logs'),
      '--command',
      line,
      '--retry-base',
      '4s',
    );
  }
  const api = async (path, body) => {
    const headers = { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' };
    const response = await fetch(
      `${url}${path}`,
      body ? { method: 'POST', headers, body: JSON.stringify(body) } : { headers },
    );
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return response.json();
  };
  const close = async () => {
    for (const child of children) child.kill('SIGINT');
    await Promise.all(children.map((child) => (child.exitCode === null ? once(child, 'exit') : null)));
    await sql.end();
    await database.release();
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await until(() => api('/api/me'));
  } catch (error) {
    console.error(children.map(({ text }) => text).join('\n'));
    await close();
    throw error;
  }
  return { url, token: TOKEN, api, close, databaseUrl: database.url };
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  return port;
}

export async function until(check, ms = 60_000) {
  const end = Date.now() + ms;
  for (;;) {
    const found = await Promise.resolve()
      .then(check)
      .catch((error) => {
        if (Date.now() > end) throw error;
        return null;
      });
    if (found) return found;
    if (Date.now() > end) throw new Error(`not within ${ms} ms: ${check}`);
    await new Promise((done) => setTimeout(done, 100));
  }
}

const WORK = [
  'Update the dependencies of the api',
  'Translate the settings page',
  'Fix the flaky test of the importer',
  'Draw the new icons',
  'Answer the questions of the review',
  'Move the search to its own service',
  'Write the notes of the release',
];

// Nothing but waiting makes an hour of history: it is written as the workers would have written it.
async function livePast(sql) {
  const rows = [];
  for (let minute = 59; minute >= 0; minute--) {
    const many = Math.max(0, Math.round(3 + 3 * Math.sin(minute / 7) + ((minute * 7919) % 5) - 1));
    for (let n = 0; n < many; n++) {
      const bad = (minute * 31 + n * 17) % 19 === 0;
      const run = 9 + ((minute * 13 + n * 29) % 40);
      const wait = 1 + ((minute * 5 + n * 3) % 9) * (minute > 20 && minute < 35 ? 4 : 1);
      const ended = minute * 60 + ((n * 11) % 50) + 15;
      rows.push({ text: WORK[(minute + n) % WORK.length], bad, run, wait, ended, worker: `build-${1 + (n % 2)}` });
    }
  }
  await sql`
    with given as (
      select * from jsonb_to_recordset(${sql.json(rows)}) as g (text text, bad boolean, run float8, wait float8, ended float8, worker text)
    ), issues as (
      insert into cape_issues (description, status, assigned_worker_id, created_at, started_at, completed_at, attempt, failures, last_error)
      select text, case when bad then 'failed' else 'completed' end, worker,
             now() - (ended + run + wait) * interval '1 second', now() - (ended + run) * interval '1 second',
             now() - ended * interval '1 second', 1, bad::int, case when bad then 'exit code 1: 2 tests failed' end
        from given order by ended desc
      returning *
    )
    insert into cape_attempts (issue_id, attempt, worker_id, token, started_at, ended_at, outcome, exit_code, error)
    select id, 1, assigned_worker_id, gen_random_uuid(), started_at, completed_at,
           case when status = 'failed' then 'failed' else 'succeeded' end, (status = 'failed')::int, last_error
      from issues`;
}

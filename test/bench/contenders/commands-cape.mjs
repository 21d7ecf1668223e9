// The program as users start it, with its log folder on disk. Job: { url, commands, slots, command, folder }
// The clock is the history's: from the first start to the last end. One issue before them has the keeper started.
import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import postgres from 'postgres';
import { contend } from './contend.mjs';

const PROGRAM = fileURLToPath(new URL('../../../dist/cli/main.js', import.meta.url));

await contend(async ({ url, commands, slots, command, folder }, ready) => {
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  mkdirSync(folder, { recursive: true });
  const args = ['--worker-id', 'bench', '--command', command, '--concurrency', String(slots), '--log-dir', folder];
  const worker = spawn(process.execPath, [PROGRAM, ...args], {
    cwd: folder,
    env: { ...process.env, DATABASE_URL: url },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const exited = new Promise((resolve) => worker.once('exit', (code) => resolve(code ?? -1)));
  const add = (issues) =>
    sql`insert into cape_issues (description) select 'issue ' || n from generate_series(1, ${issues}) as n`;
  await add(1);
  await finished(sql, worker);
  await ready();
  await add(commands);
  await finished(sql, worker);
  const [{ seconds, succeeded }] = await sql`
    select extract(epoch from max(ended_at) - min(started_at))::float8 as seconds,
           count(*) filter (where outcome = 'succeeded')::int as succeeded
      from cape_attempts where issue_id > 1`;
  if (succeeded !== commands) throw new Error(`${succeeded} of ${commands} commands have succeeded`);
  worker.kill('SIGTERM');
  const code = await exited;
  if (code !== 0) throw new Error(`the worker ended with ${code}`);
  return { seconds };
});

async function finished(sql, worker) {
  for (;;) {
    const [{ left, failure }] = await sql`
      select exists (select from cape_issues where status in ('pending', 'started')) as left,
             (select last_error from cape_issues where failures > 0 limit 1) as failure`;
    // It would be tried again, after pauses.
    if (failure !== null) throw new Error(`a command failed: ${failure}`);
    if (!left) return;
    if (worker.exitCode !== null) throw new Error(`the worker ended with ${worker.exitCode}`);
    await new Promise((again) => setTimeout(again, 20));
  }
}

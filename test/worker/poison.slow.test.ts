/** An issue whose handler ends the worker's process, among hundreds that the worker had claimed along with it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { createTestDatabase } from '../support/database.js';

const { url: databaseUrl, sql } = await createTestDatabase();
const program = fileURLToPath(new URL('../fixtures/poisoned-worker.mjs', import.meta.url));

/** As a service manager starts it again. @returns how each of them ended */
async function startAgainAndAgain(times: number): Promise<(number | string)[]> {
  const ends: (number | string)[] = [];
  while (ends.length < times && ends.at(-1) !== 0) {
    const child = spawn(process.execPath, [program, databaseUrl], { stdio: 'inherit' });
    const [code, signal] = await once(child, 'exit');
    ends.push(code ?? signal);
  }
  return ends;
}

test.each([
  ['at the head of the queue', 0],
  ['where claims ahead have grown', 600],
])(
  '%s it ends by its own crashes, and all of its neighbours complete',
  async (_, before) => {
    await sql`truncate cape_issues; truncate cape_attempts; truncate cape_workers`.simple();
    await sql`insert into cape_issues (description) select 'innocent' from generate_series(1, ${before})`;
    await sql`insert into cape_issues (description) values ('poison')`;
    await sql`insert into cape_issues (description) select 'innocent' from generate_series(1, 200)`;
    const ends = await startAgainAndAgain(8);
    expect(ends).toEqual(['SIGKILL', 'SIGKILL', 'SIGKILL', 0]);
    const found = await sql`
    select description, status, count(*)::int, max(crashes)::int < 3 as below_cap from cape_issues group by 1, 2 order by 1`;
    expect(found).toEqual([
      { description: 'innocent', status: 'completed', count: before + 200, below_cap: true },
      { description: 'poison', status: 'failed', count: 1, below_cap: false },
    ]);
  },
  60_000,
);

/** A description of 40 MB: the claim carries it, the log shows its beginning, and neighbours do not notice. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { createTestDatabase } from '../support/database.js';
import { until } from '../support/until.js';
import { startWorker } from '../support/worker.js';

const { url: databaseUrl, sql } = await createTestDatabase();

beforeEach(() => sql`truncate cape_issues; truncate cape_workers`.simple());

const statusOf = async (id: number) => (await sql`select status from cape_issues where id = ${id}`)[0]?.status;

test.each([
  ['fails where it is to be an argument', '{id} {description}', 'failed'],
  ['completes where it is not', '{id}', 'completed'],
])('it %s, and the command beside it goes on', async (_, placeholders, status) => {
  const { lines, dir } = startWorker({
    databaseUrl,
    concurrency: 2,
    command: `sh -c 'test "$0" = 2 || while ! test -e go; do sleep 0.05; done' ${placeholders}`,
  });
  await sql`insert into cape_issues (id, description) values (1, 'neighbour')`;
  await until(() => lines.includes('info: issue 1: attempt 1 started: neighbour'));
  await sql`insert into cape_issues (id, description) values (2, repeat('x', 40000000))`;
  await until(async () => (await statusOf(2)) === status, { what: `issue 2 to be ${status}` });
  expect(await statusOf(1)).toBe('started');
  writeFileSync(join(dir, 'go'), '');
  await until(async () => (await statusOf(1)) === 'completed');
  if (status === 'completed') expect(lines).toContain(`info: issue 2: attempt 1 started: ${'x'.repeat(199)}…`);
});

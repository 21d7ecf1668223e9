/** Rows that nobody should have written, between good ones: none stops a worker, and each is accounted for. */
import { beforeAll, describe, expect, test } from 'vitest';
import type { Issue } from '../../src/core/issue.js';
import { type Oddities, oddities } from '../../src/queue/read.js';
import { cli } from '../cli/run-cli.js';
import { createTestDatabase } from '../support/database.js';
import { issuesOf } from '../support/issues.js';
import { startWorker } from '../support/worker.js';

const { url: databaseUrl, sql, db } = await createTestDatabase();
const { issue, add, attempts, clear } = issuesOf(sql);

/** What becomes of it: it runs; it fails, and says why; it is left alone, and check tells why. */
type End = { readonly runs: Partial<Issue> } | { readonly fails: RegExp } | { readonly waits: keyof Oddities };

/** By what is wrong with it: columns as an INSERT by hand would have them. */
const ROWS: Readonly<Record<string, [columns: string, values: string, end: End]>> = {
  'no description': ['description', `''`, { fails: /description is empty/ }],
  'a description of blanks': ['description', `E' \\n\\t '`, { fails: /description is empty/ }],
  'a description of 10 MB': ['description', `repeat('x', 10 * 1024 * 1024)`, { fails: /argument/ }],
  'a description that looks like an option': ['description', `'--help'`, { runs: {} }],
  'a status of its own': ['status', `'in review'`, { waits: 'other_status' }],
  'a negative attempt number': ['attempt', '-5', { runs: { attempt: -4 } }],
  'an attempt number at its end': ['attempt', '2147483647', { waits: 'out_of_attempts' }],
  'negative failures': ['failures', '-3', { runs: { failures: -3 } }],
  'negative crashes': ['crashes', '-32768', { runs: {} }],
  'failures, crashes and snoozes at their ends': [
    'failures, crashes, snoozes',
    '32767, 32767, 2147483647',
    { runs: { snoozes: 2_147_483_647 } },
  ],
  'a time of creation far in the future': ['created_at', `'9999-12-31'`, { runs: {} }],
  'a time of creation that never comes': ['created_at', `'infinity'`, { runs: {} }],
  'a time of creation before all others': ['created_at', `'-infinity'`, { runs: {} }],
  'the name of a worker with quotes and line ends': [
    'assigned_worker_id',
    `E'al"le''y\\n\\x1b[2J'`,
    { waits: 'for_unseen' },
  ],
  'the name of a worker of 100 characters': ['assigned_worker_id', `repeat('\u{1F40E}', 100)`, { waits: 'for_unseen' }],
  'the name of a worker that is a path': ['assigned_worker_id', `'../../etc'`, { waits: 'for_unseen' }],
  'an empty name of a worker': ['assigned_worker_id', `''`, { waits: 'for_unseen' }],
  'a time to run that never comes': ['run_at', `'infinity'`, { waits: 'parked_for_good' }],
  'a time to run before all times': ['run_at', `'-infinity'`, { runs: {} }],
  'no limit of failures': ['max_attempts', '0', { runs: {} }],
  'a limit of failures below zero': ['max_attempts', '-7', { runs: {} }],
  'no time to run in': ['timeout_seconds', '0', { runs: {} }],
  'less than no time to run in': ['timeout_seconds', '-1', { runs: {} }],
  'all the time to run in': ['timeout_seconds', '2147483647', { runs: {} }],
  'a type that nobody knows': ['type', `'no such type'`, { runs: {} }],
  'no type': ['type', `''`, { runs: {} }],
  'parameters that are null': ['params', `'null'`, { runs: {} }],
  'parameters of 5 MB': ['params', `to_jsonb(repeat('p', 5 * 1024 * 1024))`, { runs: {} }],
  'the highest priority': ['priority', '32767', { runs: {} }],
  'the lowest priority': ['priority', '-32768', { runs: {} }],
  'a lease that nobody holds': ['leased', 'true', { waits: 'leased_by_nobody' }],
  'an end before its beginning': ['completed_at, started_at', `now(), 'infinity'`, { runs: {} }],
};

async function insert(columns: string, values: string): Promise<number> {
  const description = columns.includes('description') ? '' : `, description`;
  const text = columns.includes('description') ? '' : `, 'a bad row'`;
  const [row] = await sql.unsafe(
    `insert into cape_issues (${columns}${description}) values (${values}${text}) returning id`,
  );
  return row?.id as number;
}

const STARTED = new Set(Object.keys(ROWS).filter((what) => !('waits' in (ROWS[what] as [string, string, End])[2])));

describe('bad rows between good ones', () => {
  const ids = new Map<string, number>();
  const good: number[] = [];
  let log: string[] = [];

  beforeAll(async () => {
    // As a table that was adopted has it: with rows whose status is somebody's own.
    await sql`alter table cape_issues drop constraint cape_issues_status_check`;
    for (const [what, [columns, values]] of Object.entries(ROWS)) {
      ids.set(what, await insert(columns, values));
      good.push(await add('a good row'));
    }
    const worker = startWorker({ databaseUrl, drain: true, concurrency: 4, command: 'true {id} {description}' });
    await worker.done;
    log = [...worker.lines];
  }, 120_000);

  test('the good ones complete, and the worker leaves when nothing is left that it may run', async () => {
    expect(await sql`select from cape_issues where id = any(${good}) and status = 'completed'`).toHaveLength(
      good.length,
    );
    expect(log.filter((line) => line.includes('trying again'))).toEqual([]);
    expect(log.filter((line) => line.startsWith('error'))).toEqual([
      `error: issue ${ids.get('an attempt number at its end')}: can't be claimed (integer out of range); ` +
        'others go on, and it is tried again every minute',
    ]);
  });

  test.each(Object.entries(ROWS))('%s', async (what, [, , end]) => {
    const row = await issue(ids.get(what) as number);
    if ('runs' in end) expect(row).toMatchObject({ status: 'completed', ...end.runs });
    else if ('fails' in end) {
      expect(row).toMatchObject({ status: 'failed', last_error: expect.stringMatching(end.fails) });
    } else {
      expect(['pending', 'in review']).toContain(row.status);
      expect(await attempts(row.id)).toHaveLength(0);
    }
  });

  test('those left alone are counted by check, and nothing else is', async () => {
    const counts: Record<string, number> = {};
    for (const [, , end] of Object.values(ROWS)) if ('waits' in end) counts[end.waits] = (counts[end.waits] ?? 0) + 1;
    expect(await oddities(db)).toEqual({ started_unleased: 0, held_by_others: 0, ...counts });
    const { stdout } = await cli(['check', '--command', 'true'], { env: { DATABASE_URL: databaseUrl } });
    expect(stdout.match(/queue: /g)).toHaveLength(Object.keys(counts).length);
    expect(STARTED.size + Object.values(counts).reduce((sum, n) => sum + n)).toBe(Object.keys(ROWS).length);
  });

  test('people can look at all of them', async () => {
    const env = { DATABASE_URL: databaseUrl };
    for (const args of [
      ['issues', 'list', '--limit', '200'],
      ['issues', 'list', '--limit', '200', '--json'],
      ['status'],
      ...['a time of creation that never comes', 'a time to run that never comes'].map((what) => [
        'issues',
        'show',
        String(ids.get(what)),
      ]),
    ]) {
      const { code, stdout, stderr } = await cli(args, { env });
      expect([args, code, stderr]).toEqual([args, 0, '']);
      expect(stdout).not.toMatch(/NaN|Invalid/);
      expect(stdout).not.toMatch(/\x1b/);
    }
  });
});

describe('a row that a trigger of somebody refuses to have claimed', () => {
  test('is named, and those behind it and beside it are run', async () => {
    await clear();
    await sql.unsafe(`
      create function refuse_poison() returns trigger language plpgsql as $$
      begin raise exception 'not this one'; end $$;
      create trigger refuse_poison before update on cape_issues
        for each row when (old.description = 'poison' and new.status = 'started') execute function refuse_poison()`);
    const add = async (description: string, worker: string | null = null) =>
      (
        await sql`insert into cape_issues (description, assigned_worker_id) values (${description}, ${worker}) returning id`
      )[0]?.id as number;
    const poison = [await add('poison'), await add('poison', 'test-1')];
    const good: number[] = [];
    for (let n = 0; n < 10; n++) good.push(await add('fine', n % 2 ? 'test-1' : null));
    poison.push(await add('poison'));
    const { done, lines } = startWorker({ databaseUrl, drain: true, concurrency: 3 });
    await done;
    expect(await sql`select from cape_issues where id = any(${good}) and status = 'completed'`).toHaveLength(10);
    for (const id of poison) {
      expect(await issue(id)).toMatchObject({ status: 'pending', attempt: 0 });
      const about = lines.filter((line) => line.includes(`issue ${id}: can't be claimed (not this one)`));
      expect(about).toHaveLength(1);
    }
    expect(lines.filter((line) => line.includes('trying again'))).toEqual([]);
    await sql`drop trigger refuse_poison on cape_issues`;
    const again = startWorker({ databaseUrl, drain: true });
    await again.done;
    for (const id of poison) expect(await issue(id)).toMatchObject({ status: 'completed' });
  });
});

/** An output as `top` shows it: from the file as it grows, or from what the database keeps. */
import { randomUUID } from 'node:crypto';
import { appendFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { OutputWatch } from '../../src/cli/top-output.js';
import { OutputReader } from '../../src/cli/top-output-reader.js';
import { OutputText } from '../../src/cli/top-output-text.js';
import { type CapeClient, createClient } from '../../src/client.js';
import { settle } from '../../src/queue/settle.js';
import { actor, claimAs, done, insert } from '../queue/actors.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { emptyFolder } from './run-cli.js';

describe('text', () => {
  const rowsOf = (text: string, width = 80) => {
    const output = new OutputText(width);
    output.append(text);
    return output.rows().rows;
  };

  test('loses its colours, and shows other control characters escaped', () => {
    expect(rowsOf('\u001b[1;32mgreen\u001b[0m\n\u001b]0;title\u0007\u001b[2Jx')).toEqual([
      'green',
      '\\u001b]0;title\\u0007\\u001b[2Jx',
    ]);
  });

  test('of a line that was written over again and again is what was written last', () => {
    expect(rowsOf('10%\r20%\r30%\r\nnext\n100%\r')).toEqual(['30%', 'next', '100%']);
  });

  test('comes in pieces, which make lines together', () => {
    const output = new OutputText(80);
    for (const piece of ['on', 'e\ntw', 'o', '\n']) output.append(piece);
    expect(output.rows().rows).toEqual(['one', 'two']);
  });

  test('is wrapped, and wrapped anew for another width', () => {
    const output = new OutputText(4);
    output.append('12345678\nab\n');
    expect(output.rows().rows).toEqual(['1234', '5678', 'ab']);
    output.resize(6);
    expect(output.rows()).toEqual({ first: 0, rows: ['123456', '78', 'ab'] });
  });

  test('is kept within bounds; rows keep their numbers', () => {
    const output = new OutputText(80);
    for (let n = 0; n < 12; n++)
      output.append(Array.from({ length: 1000 }, (_, i) => `line ${n * 1000 + i}\n`).join(''));
    const { first, rows } = output.rows();
    expect([first, rows.length, rows[0], rows.at(-1)]).toEqual([7000, 5000, 'line 7000', 'line 11999']);
    // A line that never ends.
    for (let n = 0; n < 50; n++) output.append('x'.repeat(100_000));
    expect(output.rows().rows.length).toBeLessThanOrEqual(5300);
  });
});

describe('a file', () => {
  test('is read as it grows, across a character that comes in two pieces, and into the next segment', async () => {
    const path = join(emptyFolder(), '1.log');
    const reader = new OutputReader(path);
    expect(await reader.read()).toBeNull();
    const bytes = Buffer.from('one ü two');
    writeFileSync(path, bytes.subarray(0, 5));
    expect(await reader.read()).toBe('one ');
    appendFileSync(path, bytes.subarray(5));
    expect(await reader.read()).toBe('ü two');
    expect(await reader.read()).toBe('');
    writeFileSync(`${path}.tail-${bytes.length + 90}`, 'the end');
    expect(await reader.read()).toBe('\n[90 bytes were dropped here (--output-limit)]\nthe end');
  });

  test('of which there is more than anybody reads is read at its end', async () => {
    const path = join(emptyFolder(), '1.log');
    writeFileSync(path, `${'ü'.repeat(500_000)}\nthe end\n`);
    const reader = new OutputReader(path);
    const text = (await reader.read()) ?? '';
    expect(text).toMatch(/^\[737,865 bytes before this are not shown; see issues logs\]\nü+\nthe end\n$/);
    appendFileSync(path, 'x'.repeat(1_000_000));
    expect(await reader.read()).toMatch(/^\n\[737,856 bytes left out\]\nx+$/);
  });
});

describe('an issue', () => {
  let t: TestDatabase;
  let client: CapeClient;
  beforeAll(async () => {
    t = await createTestDatabase();
    client = createClient({ databaseUrl: t.url });
  });
  afterAll(() => client.close());

  async function page(watch: OutputWatch, attempt: number | null = null) {
    await watch.look();
    const { rows, note, issue } = (await watch.page(attempt, 80))!;
    return { rows, note, status: issue.status };
  }

  test('that waits, starts, writes and ends', async () => {
    const logDir = emptyFolder();
    const worker = await actor(t.db);
    await t.sql`update cape_workers set host = ${hostname()}, log_dir = ${logDir} where id = ${worker.id}`;
    const [id] = (await insert(t.sql, 'to be watched')) as [number];
    const watch = new OutputWatch(client, id);
    expect(await page(watch)).toEqual({ rows: [], note: 'it has not been started', status: 'pending' });
    const [claimed] = await claimAs(t.db, worker);
    expect(await page(watch)).toEqual({ rows: [], note: null, status: 'started' });
    const path = join(logDir, 'issues', String(id), '1.log');
    mkdirSync(join(path, '..'), { recursive: true });
    writeFileSync(path, 'one\n');
    expect((await page(watch)).rows).toEqual(['one']);
    appendFileSync(path, 'two\n');
    await settle(t.db, [{ ...done(claimed!), logPath: path, logHost: hostname() }]);
    expect(await page(watch)).toEqual({ rows: ['one', 'two'], note: null, status: 'completed' });
  });

  test('of another host has its output once it has ended, and says where the rest is', async () => {
    const worker = await actor(t.db);
    const [id] = (await insert(t.sql, 'far away')) as [number];
    const [claimed] = await claimAs(t.db, worker);
    const watch = new OutputWatch(client, id);
    expect((await page(watch)).note).toMatch(
      /^runs on another host, its output is shown once it has ended; the file is .*1\.log on host test-host$/,
    );
    const settlement = done(claimed!);
    await settle(t.db, [{ ...settlement, outcome: { ...settlement.outcome, tail: 'its last words\n' } as never }]);
    const { rows, note } = await page(watch);
    expect(note).toBe('this is the end of the output; the file is /var/log/cape/1.log on host test-host');
    expect(rows).toEqual(['its last words']);
  });

  test('whose file was removed has its end; and each attempt its own', async () => {
    const folder = emptyFolder();
    const [id] = (await insert(t.sql, 'twice')) as [number];
    await t.sql`update cape_issues set status = 'failed', attempt = 2 where id = ${id}`;
    for (const number of [1, 2]) {
      const path = join(folder, `${number}.log`);
      writeFileSync(path, `output ${number}\n`);
      await t.sql`insert into cape_attempts (issue_id, attempt, token, worker_id, started_at, outcome, tail, log_path, log_host)
        values (${id}, ${number}, ${randomUUID()}, 'w-1', now(), 'failed', ${`tail ${number}`}, ${path}, ${hostname()})`;
    }
    const watch = new OutputWatch(client, id);
    expect((await page(watch)).rows).toEqual(['output 2']);
    rmSync(join(folder, '1.log'));
    const first = await page(watch, 1);
    expect(first.rows).toEqual(['tail 1']);
    expect(first.note).toMatch(/^this is the end of the output; the file is .*1\.log/);
    expect((await page(watch)).rows).toEqual(['output 2']);
  });
});

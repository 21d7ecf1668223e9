import { existsSync, mkdirSync, readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { pruneIssueLogs, pruneVerdicts } from '../../src/worker/prune.js';
import { createTestDatabase } from '../support/database.js';
import { tempFolder } from '../support/worker.js';

const { db, sql } = await createTestDatabase();

/** A folder as an issue's attempts leave it, last touched so many days ago. */
function folder(logDir: string, name: string, days: number): string {
  const path = join(logDir, 'issues', name);
  mkdirSync(path, { recursive: true });
  writeFileSync(join(path, '1.log'), 'output');
  const time = Date.now() / 1000 - days * 86_400;
  utimesSync(path, time, time);
  return path;
}

test('the output of issues that ended long ago is removed, that of unfinished and recent ones stays', async () => {
  const logDir = tempFolder();
  const rows = await sql`
    insert into cape_issues (description, status) values ('ended', 'completed'), ('recent', 'completed'), ('waiting', 'pending')
    returning id`;
  const [ended, recent, waiting] = rows.map(({ id }) => String(id)) as [string, string, string];
  const old = folder(logDir, ended, 31);
  const deleted = folder(logDir, '999999', 31);
  const kept = [folder(logDir, recent, 29), folder(logDir, waiting, 400), folder(logDir, 'not an issue', 400)];
  expect(await pruneIssueLogs(db, logDir, 30)).toBe(2);
  expect([old, deleted].filter((path) => existsSync(path))).toEqual([]);
  expect(kept.filter((path) => !existsSync(path))).toEqual([]);
});

test('nothing is removed with 0 days, and a folder that is not there yet is no error', async () => {
  const logDir = tempFolder();
  expect(await pruneIssueLogs(db, logDir, 30)).toBe(0);
  const old = folder(logDir, '1000001', 400);
  expect(await pruneIssueLogs(db, logDir, 0)).toBe(0);
  expect(existsSync(old)).toBe(true);
});

test('outcomes that nobody could deliver go with the logs of their time', async () => {
  const logDir = tempFolder();
  const dir = join(logDir, '.state', 'w', 'verdicts');
  mkdirSync(dir, { recursive: true });
  for (const [name, days] of [
    ['old.json', 31],
    ['old.json.bad', 31],
    ['recent.json', 29],
  ] as const) {
    writeFileSync(join(dir, name), '{}');
    const time = Date.now() / 1000 - days * 86_400;
    utimesSync(join(dir, name), time, time);
  }
  await pruneVerdicts(logDir, 0);
  expect(readdirSync(dir)).toHaveLength(3);
  await pruneVerdicts(logDir, 30);
  expect(readdirSync(dir)).toEqual(['recent.json']);
  await pruneVerdicts(tempFolder(), 30);
});

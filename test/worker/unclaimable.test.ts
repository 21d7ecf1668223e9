/** Which row a refused claim is laid to, and for how long claims are of one row each. */
import { beforeEach, expect, test } from 'vitest';
import { type Failure, failureOf } from '../../src/db/failure.js';
import { silent } from '../../src/log.js';
import { nextToClaim } from '../../src/queue/claim.js';
import { Unclaimable } from '../../src/worker/unclaimable.js';
import { createTestDatabase } from '../support/database.js';
import { issuesOf } from '../support/issues.js';
import { until } from '../support/until.js';

const { sql, db } = await createTestDatabase();
const { clear } = issuesOf(sql);
const refused: Failure = { ...failureOf(new Error('not this one')), code: 'P0001' };

beforeEach(async () => {
  await clear();
});

test('a claim that began behind a hint is tried from the head before a row is passed over for it', async () => {
  const [first] = await sql`insert into cape_issues (description) values ('lies before the hint') returning id`;
  const lines: string[] = [];
  const unclaimable = new Unclaimable(db, { ...silent, error: (line) => void lines.push(line) });
  expect(await unclaimable.met(refused, 'w', 1, false)).toBe(true);
  expect(unclaimable.except()).toEqual([]);
  expect(lines).toEqual([]);
  expect(await unclaimable.met(refused, 'w', 1, true)).toBe(true);
  expect(unclaimable.except()).toEqual([first?.id]);
});

test('claims are of one row each until the row is found, and no longer than a while where it is gone', async () => {
  await sql`insert into cape_issues (description) values ('one')`;
  const unclaimable = new Unclaimable(db, silent, 300);
  await unclaimable.met(refused, 'w', 8, true);
  expect(unclaimable.limit(8)).toBe(1);
  await unclaimable.met(refused, 'w', 1, true);
  expect(unclaimable.limit(8)).toBe(8);
  await unclaimable.met(refused, 'w', 8, true);
  expect(unclaimable.limit(8)).toBe(1);
  await until(() => unclaimable.limit(8) === 8);
});

test('a hundred rows that can not be claimed keep nobody from the one behind them, and the log names twenty', async () => {
  await sql`insert into cape_issues (description) select 'poison' from generate_series(1, 100)`;
  const [good] = await sql`insert into cape_issues (description) values ('good') returning id`;
  const lines: string[] = [];
  const unclaimable = new Unclaimable(db, { ...silent, error: (line) => void lines.push(line) });
  for (let n = 0; n < 100; n++) expect(await unclaimable.met(refused, 'w', 1, true)).toBe(true);
  expect(await nextToClaim(db, 'w', unclaimable.except())).toBe(good?.id);
  expect(lines).toHaveLength(21);
  expect(lines[20]).toContain('maybe more that are not named');
});

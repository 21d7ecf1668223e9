/** Tables on a terminal of 80 columns, which a process of a test has not got: standard output plays one. */
import { afterEach, beforeAll, expect, test, vi } from 'vitest';
import { agoText } from '../../src/cli/output.js';
import { type Parsed, parse } from '../../src/cli/program.js';
import { settle } from '../../src/queue/settle.js';
import { actor, claimAs, ended, insert } from '../queue/actors.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';

let t: TestDatabase;
const { isTTY, columns } = process.stdout;

beforeAll(async () => {
  t = await createTestDatabase();
  const worker = await actor(t.db, 'alleycat-1');
  await insert(t.sql, `Fix the login bug ${'that nobody understands '.repeat(5)}`);
  const claims = await claimAs(t.db, worker);
  const verdict = { action: 'finish', status: 'failed', charge: 'failure' } as const;
  await settle(t.db, [ended(claims[0]!, verdict, 'failed', { error: `exit code 3 ${'and more '.repeat(20)}` })]);
  await t.sql`update cape_issues set created_at = now() - interval '190 seconds'`;
});

afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  Object.assign(process.stdout, { isTTY, columns });
});

async function linesAt(width: number, ...args: string[]): Promise<string[]> {
  let text = '';
  vi.stubEnv('DATABASE_URL', t.url);
  Object.assign(process.stdout, { isTTY: true, columns: width });
  vi.spyOn(process.stdout, 'write').mockImplementation((chunk) => {
    text += chunk;
    return true;
  });
  const parsed = (await parse(args)) as Extract<Parsed, { kind: 'command' }>;
  await parsed.command.run(parsed);
  vi.restoreAllMocks();
  return text.trimEnd().split('\n');
}

test('a list of issues fits 80 columns, without priorities and with short times', async () => {
  const lines = await linesAt(80, 'issues', 'list');
  expect(lines[0]).toBe('ID  STATUS  ATTEMPT  WORKER      ADDED   ISSUE');
  expect(lines[1]).toMatch(/^1 {3}failed {2}1 {8}alleycat-1 {2}3m ago {2}Fix the login bug that .*…$/);
  expect(Math.max(...lines.map((line) => line.length))).toBe(80);
  expect((await linesAt(120, 'issues', 'list'))[0]).toMatch(/PRIORITY .* ADDED {16}ISSUE/);
});

test('so do the attempts of an issue, and the workers, without their version', async () => {
  const shown = await linesAt(80, 'issues', 'show', '1');
  const attempt = shown[shown.findIndex((line) => line.startsWith('NO')) + 1];
  expect(attempt).toMatch(/^1 .* \d+s ago .* exit code 3 and .*…$/);
  expect(attempt).toHaveLength(80);
  expect((await linesAt(80, 'workers'))[0]).toMatch(/HEARD$/);
  expect((await linesAt(100, 'workers'))[0]).toMatch(/HEARD +VERSION$/);
});

test('help is as wide as the terminal, up to 100 columns', async () => {
  for (const [columns, widest] of [
    [80, 80],
    [200, 100],
  ] as const) {
    Object.assign(process.stdout, { isTTY: true, columns });
    const { text } = (await parse(['run', '--help'])) as Extract<Parsed, { kind: 'text' }>;
    expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThanOrEqual(widest);
  }
});

test('a time is told in one unit', () => {
  expect([-5, 59_999, 60_000, 3_599_000, 7_200_000, 90_000_000].map(agoText)).toEqual([
    '0s ago',
    '59s ago',
    '1m ago',
    '59m ago',
    '2h ago',
    '1d ago',
  ]);
});

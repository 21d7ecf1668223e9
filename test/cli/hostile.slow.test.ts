/**
 * Issues whose text tries to steer a terminal, forge a line of a log or reach a shell, through real processes: what
 * people see is harmless, what the command gets is the text byte for byte.
 */
import { randomUUID } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { issuesOf } from '../support/issues.js';
import { cli, type Ended, emptyFolder } from './run-cli.js';

const FORGED = '2026-01-01 00:00:00 - cape_worker_h-1 - ERROR - forged';

const HOSTILE: Readonly<Record<string, string>> = {
  'a cleared screen': '\u001b[2J\u001b[H\u001bc clean',
  'a title': '\u001b]0;owned\u0007 title',
  'a title with 8-bit controls': '\u009d0;owned\u009c and \u009b2J',
  'a link': '\u001b]8;;https://example.com\u001b\\click\u001b]8;;\u001b\\',
  'a clipboard': '\u001b]52;c;cm0gLXJmIC8=\u0007',
  'a question to the terminal': '\u001b[6n\u001bP$qm\u001b\\\u0005',
  'a line forged by LF': `x\n${FORGED}`,
  'a line forged by CR': `x\r${FORGED}`,
  'a line forged by CR LF': `x\r\n${FORGED}\r\n`,
  'a line forged by NEL, LS, PS, VT and FF': `x\u0085${FORGED}\u2028${FORGED}\u2029${FORGED}\u000b${FORGED}\u000c${FORGED}`,
  'a line ahead of everything': `\n\n${FORGED}`,
  'text hidden by backspaces': 'rm -rf /\b\b\b\b\b\b\b\bls -l   \u007f',
  'turned directions': 'user\u202eknab\u2066 x\u2069 \u200f\u061c',
  'hidden characters': 'zero\u200bwidth\u2060 \ufeff\u00ad \u{e0068}\u{e0069}\u{e01ef} \ufe00',
  'the replacement of what is no text': '\ufffd\ufffe\uffff',
  'an option': '--help',
  'another option': '-rf',
  'a shell': '$(touch owned) `touch owned`; touch owned & > owned | touch owned \' " \\',
  placeholders: `{id} {description} $& $1 %s %DATE% $HOME \${HOME}`,
  'a key of JSON': '","level":"error","message":"forged',
  quotes: `'; drop table cape_issues; --`,
};

/** Anything but a newline that a terminal acts upon, or does not show. */
const RAW =
  /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\u{e0000}-\u{e0fff}]/u;

let t: TestDatabase;
let ids: Map<string, number>;
let env: Record<string, string>;

beforeAll(async () => {
  t = await createTestDatabase();
  env = { DATABASE_URL: t.url };
});

afterEach(() => issuesOf(t.sql).clear());

async function addAll(): Promise<void> {
  ids = new Map();
  for (const [name, text] of Object.entries(HOSTILE)) ids.set(name, await issuesOf(t.sql).add(text));
}

const lines = (text: string) => text.replace(/\n$/, '').split('\n');

function expectHarmless({ stdout, stderr }: Ended, about: string): void {
  expect(stdout, about).not.toMatch(RAW);
  expect(stderr, about).not.toMatch(RAW);
}

describe('a worker', () => {
  // The command tells what it was given, by bytes, then says it again: to its output, as its result, by its failure.
  const COMMAND = `
    const { appendFileSync, readFileSync, writeFileSync } = require('node:fs');
    const [id, text, ...more] = process.argv.slice(2);
    const issue = JSON.parse(readFileSync(process.env.CAPE_ISSUE_FILE, 'utf8'));
    const told = { id, args: Buffer.from(text).toString('hex'), file: Buffer.from(issue.description).toString('hex'), more };
    appendFileSync('told.txt', JSON.stringify(told) + '\\n');
    process.stdout.write(text + '\\n');
    if (Number(id) % 2) process.exit(64);
    writeFileSync(process.env.CAPE_RESULT_FILE, text);
  `;

  test.each(['text', 'json'])(
    'hands the text over byte for byte, and logs each record on one line (%s)',
    async (format) => {
      await addAll();
      const cwd = emptyFolder();
      writeFileSync(join(cwd, 'command.cjs'), COMMAND);
      const args = [
        '--worker-id',
        'h-1',
        '--command',
        `'${process.execPath}' command.cjs`,
        '--concurrency',
        '4',
        '--drain',
      ];
      const ran = await cli([...args, '--log-format', format, '--log-level', 'debug'], { env, cwd });
      expect(ran).toMatchObject({ code: 0, stderr: '' });
      expectHarmless(ran, 'the console of the worker');

      const told = lines(readFileSync(join(cwd, 'told.txt'), 'utf8')).map((line) => JSON.parse(line));
      const given = new Map(told.map(({ id, args, file, more }) => [Number(id), { args, file, more }]));
      for (const [name, text] of Object.entries(HOSTILE)) {
        const hex = Buffer.from(text).toString('hex');
        expect(given.get(ids.get(name)!), name).toEqual({ args: hex, file: hex, more: [] });
      }
      expect(existsSync(join(cwd, 'owned'))).toBe(false);

      const file = readFileSync(join(cwd, 'logs', 'worker_h-1.log'), 'utf8');
      expect(file).not.toMatch(RAW);
      for (const line of [...lines(ran.stdout), ...lines(file)]) {
        if (format === 'json') {
          expect(Object.keys(JSON.parse(line))).toEqual(['time', 'level', 'logger', 'message']);
          expect(JSON.parse(line).message).not.toMatch(/^forged/);
        } else {
          expect(line).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d - cape_worker_h-1 - (WARNING|INFO|DEBUG) - /);
          expect(line).not.toMatch(/^.{19} - cape_worker_h-1 - ERROR/);
        }
      }
      // Each takes the time by itself, so that a second may end in between.
      const untimed = (text: string) => lines(text).map((line) => line.replace(/\d\d:\d\d:\d\d(\.\d+)?/, ''));
      expect(untimed(ran.stdout)).toEqual(untimed(file));
      // Nothing of a text has become the name of a file.
      expect(readdirSync(join(cwd, 'logs', 'issues')).every((name) => /^\d+$/.test(name))).toBe(true);

      if (format === 'text') await look();
    },
  );

  /** Every command that shows what is there now. */
  async function look(): Promise<void> {
    const listed = await cli(['issues', 'list', '--limit', '1000'], { env });
    expectHarmless(listed, 'list');
    expect(lines(listed.stdout)).toHaveLength(1 + ids.size);
    const rows = await cli(['issues', 'list', '--json'], { env });
    expectHarmless(rows, 'list --json');
    const texts = new Map(
      JSON.parse(rows.stdout).map((row: { id: number; description: string }) => [row.id, row.description]),
    );
    for (const [name, text] of Object.entries(HOSTILE)) expect(texts.get(ids.get(name)!), name).toBe(text);
    for (const name of [
      'a cleared screen',
      'a title with 8-bit controls',
      'a line forged by CR',
      'hidden characters',
    ]) {
      const id = String(ids.get(name));
      const shown = await cli(['issues', 'show', id], { env });
      expectHarmless(shown, `show: ${name}`);
      const asJson = await cli(['issues', 'show', id, '--json'], { env });
      expectHarmless(asJson, `show --json: ${name}`);
      expect(JSON.parse(asJson.stdout)).toMatchObject({
        description: HOSTILE[name],
        attempts: [{ tail: `${HOSTILE[name]}\n` }],
      });
      // Into a pipe as it was written, so that nothing is lost; on a terminal escaped, see log-printer.
      expect((await cli(['issues', 'logs', id], { env })).stdout).toBe(`${HOSTILE[name]}\n`);
    }
  }
});

test('what is added, and what becomes of it, is told in one line', async () => {
  const text = `${HOSTILE['a cleared screen']}${HOSTILE['a line forged by CR LF']}`;
  const added = await cli(['issues', 'add', '-', '--key', 'k\u001b[2J\n'], { env, input: text });
  expect(added).toMatchObject({ code: 0, stdout: expect.stringMatching(/^\d+\n$/), stderr: '' });
  const id = added.stdout.trim();
  for (const args of [
    ['issues', 'add', 'x', '--worker', text],
    ['issues', 'add', 'x', '--key', `${'\u009b2J'.repeat(100)}`],
    ['issues', 'assign', id, text],
    ['issues', 'list', '--status', text],
    ['issues', 'show', text],
    ['issues', text],
    ['pause', '--worker', text],
    ['migrate', '--grant', text],
    [`--${text}`],
    [text],
    ['completion', text],
    ['issues', 'add', '--file', text],
    ['config', '--schema', text],
    ['run', '--worker-id', 'a', '--command', text],
    ['run', '--worker-id', 'a', '--log-dir', `/dev/null/${text}`, '--command', 'true'],
  ]) {
    const refused = await cli(args, { env });
    expectHarmless(refused, JSON.stringify(args));
    expect(refused.code, JSON.stringify(args)).not.toBe(0);
    expect(lines(refused.stderr), JSON.stringify(args)).toHaveLength(1);
  }
  const cancelled = await cli(['issues', 'cancel', id], { env });
  expect(cancelled.stdout).toBe(`issue ${id}: cancelled\n`);
});

test('rows that others wrote into the other tables are as harmless', async () => {
  const evil = `w\u001b]0;owned\u0007\u009b2J\r\n${FORGED.slice(0, 30)}\u202e`;
  const { add } = issuesOf(t.sql);
  const directed = await add('x', { assigned_worker_id: evil });
  const running = await add('y');
  const ended = await add('z');
  const instance = randomUUID();
  await t.sql`insert into cape_workers (id, instance, host, machine, pid, pid_start, version, slots, log_dir, heartbeat_at)
    values (${evil}, ${instance}, ${evil}, ${evil}, 1, ${evil}, ${evil}, 1, ${evil}, now() - interval '1 hour')`;
  await t.sql`insert into cape_pauses (worker_id) values (${evil})`;
  await t.sql`insert into cape_leases (issue_id, attempt, token, worker_id, instance, lease_until, cancel)
    values (${running}, 1, ${randomUUID()}, ${evil}, ${instance}, now() + interval '1 hour', ${evil})`;
  await t.sql`update cape_issues set status = 'started', leased = true, attempt = 1 where id = ${running}`;
  await t.sql`update cape_issues set status = 'failed', last_error = ${evil}, result = ${evil}, key = ${evil} where id = ${ended}`;
  for (const [attempt, host] of [
    [1, hostname()],
    [2, evil],
  ] as const)
    await t.sql`insert into cape_attempts (issue_id, attempt, token, worker_id, started_at, outcome, signal, error, log_path, log_host)
      values (${ended}, ${attempt}, ${randomUUID()}, ${evil}, now(), ${evil}, ${evil}, ${evil}, ${`/nowhere/${evil}`}, ${host})`;
  for (const args of [
    ['workers'],
    ['workers', '--json'],
    ['status'],
    ['status', '--json'],
    ['issues', 'list'],
    ['issues', 'list', '--json'],
    ['issues', 'show', String(directed)],
    ['issues', 'show', String(running)],
    ['issues', 'show', String(ended)],
    ['issues', 'show', String(ended), '--json'],
    ['issues', 'logs', String(ended)],
    ['issues', 'logs', String(ended), '--attempt', '1'],
    ['issues', 'cancel', String(running)],
    ['issues', 'retry', String(running)],
    ['check', '--worker-id', 'h-2', '--command', 'true'],
  ])
    expectHarmless(await cli(args, { env }), args.join(' '));
  const cancelled = await cli(['issues', 'cancel', String(running)], { env });
  expect(lines(cancelled.stdout)).toHaveLength(1);
});

test('what the database says in an error quotes texts, and is escaped', async () => {
  await t.sql`create function refuse() returns trigger language plpgsql as $$
    begin raise exception using errcode = '22000', message = new.description; end $$`;
  await t.sql`create trigger refuse before insert on cape_issues for each row execute function refuse()`;
  try {
    const refused = await cli(['issues', 'add', '-'], { env, input: `\u001b[2J\u009b\r\n${FORGED}\u2028${FORGED}` });
    expectHarmless(refused, 'the error');
    expect(refused.code).toBe(1);
    expect(lines(refused.stderr)).toHaveLength(1);
  } finally {
    await t.sql`drop trigger refuse on cape_issues; drop function refuse()`.simple();
  }
});

/** The output of attempts over HTTP: whole, in ranges, and from wherever it is kept. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Attempt } from '../../src/core/issue.js';
import { openOutputFile } from '../../src/http/output-file.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { issuesOf } from '../support/issues.js';
import { rawRequest, serveApi, type TestApi, WRITE } from './api.js';

let database: TestDatabase;
let api: TestApi;
const folder = mkdtempSync(join(tmpdir(), 'cape output '));

beforeAll(async () => {
  database = await createTestDatabase();
  api = await serveApi(database);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** An ended attempt whose log is at that path. @returns the issue's id */
async function attemptWith(log: { path: string | null; host?: string; tail?: string }, id?: number): Promise<number> {
  const issue = id ?? (await issuesOf(database.sql).add('x'));
  await database.sql`
    insert into cape_attempts (issue_id, attempt, token, worker_id, started_at, ended_at, outcome, log_path, log_host, tail)
    values (${issue}, 1, gen_random_uuid(), 'w', now(), now(), 'succeeded', ${log.path}, ${log.host ?? hostname()}, ${log.tail ?? null})`;
  return issue;
}

/** A log with the text, and segments after gaps. */
async function logOf(text: string, segments: Record<number, string> = {}): Promise<number> {
  const id = await issuesOf(database.sql).add('x');
  const dir = join(folder, 'issues', String(id));
  mkdirSync(dir, { recursive: true });
  writeFileSync(join(dir, '1.log'), text);
  for (const [offset, rest] of Object.entries(segments)) writeFileSync(join(dir, `1.log.tail-${offset}`), rest);
  return attemptWith({ path: join(dir, '1.log') }, id);
}

const output = (id: number, query = '', headers: Record<string, string> = {}) =>
  api.ask('GET', `/api/issues/${id}/output${query}`, { headers });

describe('from the file', () => {
  test('it is all that was kept, and what was dropped is counted', async () => {
    const id = await logOf('head\n', { 5: 'next\n', 110: 'end €\n' });
    const { status, text, headers } = await output(id);
    expect([status, text]).toEqual([200, 'head\nnext\nend €\n']);
    expect(headers.get('content-type')).toBe('text/plain; charset=utf-8');
    expect([headers.get('x-cape-output'), headers.get('x-cape-skipped')]).toEqual(['file', '100']);
    expect(headers.get('x-content-type-options')).toBe('nosniff');
  });

  test.each([
    ['bytes=0-3', 'head', 'bytes 0-3/14'],
    ['bytes=3-6', 'd\nne', 'bytes 3-6/14'],
    ['bytes=10-', 'end\n', 'bytes 10-13/14'],
    ['bytes=-4', 'end\n', 'bytes 10-13/14'],
    ['bytes=8-999', 't\nend\n', 'bytes 8-13/14'],
  ])('a range of it: %s', async (range, text, told) => {
    const id = await logOf('head\n', { 5: 'next\n', 10: 'end\n' });
    const answer = await output(id, '', { range });
    expect([answer.status, answer.text, answer.headers.get('content-range')]).toEqual([206, text, told]);
  });

  test('a range that is not there is a 416', async () => {
    const id = await logOf('head');
    const answer = await output(id, '', { range: 'bytes=4-' });
    expect([answer.status, answer.headers.get('content-range')]).toEqual([416, 'bytes */4']);
  });

  test('that is cut while it is read is an error, not a shorter text', async () => {
    const id = await logOf('x'.repeat(1000));
    const path = join(folder, 'issues', String(id), '1.log');
    const attempt = { issue_id: id, attempt: 1, log_path: path, log_host: hostname() } as Attempt;
    const file = (await openOutputFile(attempt))!;
    writeFileSync(path, 'short');
    await expect(file.read(0, file.size).toArray()).rejects.toThrow('995 bytes are gone');
  });

  test('its end alone', async () => {
    const id = await logOf('head\n', { 5: 'next\n' });
    const { text, headers } = await output(id, '?tail=4');
    expect([text, headers.get('x-cape-skipped')]).toEqual(['ext\n', '6']);
    expect((await output(id, '?tail=0')).text).toBe('');
    expect((await output(id, '?tail=1000')).text).toBe('head\nnext\n');
    expect((await api.ask('HEAD', `/api/issues/${id}/output`)).headers.get('content-length')).toBe('10');
  });
});

describe('a path that is no log of the attempt', () => {
  test.each([
    ['another file', () => '/etc/passwd'],
    ['with dots', () => `${folder}/issues/../issues/7/1.log`],
    ['of another issue', () => `${folder}/issues/999/1.log`],
    ['relative', () => 'issues/7/1.log'],
  ])('is not read: %s', async (_, path) => {
    const id = await attemptWith({ path: path(), tail: 'the tail' });
    const { text, headers } = await output(id);
    expect([text, headers.get('x-cape-output')]).toEqual(['the tail', 'tail']);
  });

  test('is not read where it is a link', async () => {
    const id = await issuesOf(database.sql).add('x');
    const dir = join(folder, 'issues', String(id));
    mkdirSync(dir, { recursive: true });
    symlinkSync('/etc/passwd', join(dir, '1.log'));
    await attemptWith({ path: join(dir, '1.log'), tail: 'the tail' }, id);
    expect((await output(id)).text).toBe('the tail');
  });

  test('is not read where its folder is a link to another place', async () => {
    const id = await issuesOf(database.sql).add('x');
    const other = join(folder, 'other');
    mkdirSync(other, { recursive: true });
    writeFileSync(join(other, '1.log'), 'a secret');
    const dir = join(folder, 'issues', String(id));
    mkdirSync(join(folder, 'issues'), { recursive: true });
    symlinkSync(other, dir);
    await attemptWith({ path: join(dir, '1.log'), tail: 'the tail' }, id);
    expect((await output(id)).text).toBe('the tail');
  });

  test('is read where the log folder is a link: it was moved', async () => {
    const id = await logOf('head');
    symlinkSync(folder, join(folder, 'moved'));
    const path = join(folder, 'moved', 'issues', String(id), '1.log');
    await database.sql`update cape_attempts set log_path = ${path} where issue_id = ${id}`;
    expect((await output(id)).text).toBe('head');
  });

  test.each([
    '/api/issues/../../etc/passwd',
    '/api/issues/%2e%2e%2f%2e%2e%2fetc%2fpasswd/output',
    '/../../../etc/passwd',
    '/assets/..%2f..%2f..%2fpackage.json',
    '/%2e%2e/%2e%2e/package.json',
    '/..\\..\\package.json',
  ])('is not reached by the address either: %s', async (path) => {
    const headers = { host: 'localhost', authorization: `Bearer ${WRITE}` };
    const { status, text } = await rawRequest(api.url, { path, headers });
    expect([400, 404]).toContain(status);
    expect(text).not.toMatch(/root:|"name": "cape-worker"/);
  });
});

test('from the events where the file is on another host, in ranges too', async () => {
  const id = await attemptWith({ path: `/logs/issues/1/1.log`, host: 'elsewhere', tail: 'c' });
  await database.sql`insert into cape_events (issue_id, seq, attempt, kind, data) values
    (${id}, 1, 1, 'started', null), (${id}, 2, 1, 'output', '{"offset": 0, "text": "ab\\n"}'),
    (${id}, 3, 1, 'output', '{"offset": 103, "text": "c\\n", "skipped": 100}'), (${id}, 4, 2, 'output', '{"text": "other"}')`;
  const all = await output(id);
  expect([all.text, all.headers.get('x-cape-output'), all.headers.get('x-cape-skipped')]).toEqual([
    'ab\nc\n',
    'events',
    '100',
  ]);
  expect((await output(id, '', { range: 'bytes=1-3' })).text).toBe('b\nc');
});

test('of an attempt that is not there is a 404', async () => {
  const id = await issuesOf(database.sql).add('x');
  expect((await output(id)).status).toBe(404);
  expect((await output(await logOf('x'), '?attempt=2')).body.detail).toContain('it has 1');
});

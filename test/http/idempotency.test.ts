/** A program that lost the answer asks again: its issues are queued once. */
import { beforeAll, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { serveApi, type TestApi } from './api.js';

let database: TestDatabase;
let api: TestApi;

beforeAll(async () => {
  database = await createTestDatabase();
  api = await serveApi(database);
});

const add = (key: string, body: object) =>
  api.ask('POST', '/api/issues', { body, headers: { 'idempotency-key': key } });
const count = async () => (await database.sql`select from cape_issues`).length;

test('the same key and body get the same answer, also all at once', async () => {
  const body = { issues: [{ description: 'a' }, { description: 'b' }] };
  const answers = await Promise.all(Array.from({ length: 5 }, () => add('same', body)));
  expect(answers.map(({ status }) => status)).toEqual(Array(5).fill(201));
  expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
  expect(await count()).toBe(2);
});

test('the same key with another body is a 422', async () => {
  expect((await add('one', { description: 'a' })).status).toBe(201);
  const before = await count();
  const answer = await add('one', { description: 'b' });
  expect(answer.status).toBe(422);
  expect(answer.body.detail).toContain('Idempotency-Key');
  expect(await count()).toBe(before);
});

test('a request that failed leaves its key free', async () => {
  expect((await add('two', { description: '' })).status).toBe(400);
  expect((await add('two', { description: 'now right' })).status).toBe(201);
});

test('after a day the key means a new request, and what is old is pruned', async () => {
  const first = await add('old', { description: 'a' });
  await database.sql`update cape_requests set at = now() - interval '25 hours'`;
  const second = await add('old', { description: 'a' });
  expect(second.body.ids).not.toEqual(first.body.ids);
  expect(await database.sql`select key from cape_requests`).toEqual([{ key: 'old' }]);
});

test('a key that is none is a 400', async () => {
  expect((await add('has space', { description: 'a' })).status).toBe(400);
  expect((await add('x'.repeat(201), { description: 'a' })).status).toBe(400);
});

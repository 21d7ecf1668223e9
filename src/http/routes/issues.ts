/** Issues: lists, one, new ones. */

import { createHash } from 'node:crypto';
import * as z from 'zod';
import type { NewIssue } from '../../client.js';
import { latestProgress } from '../../events/progress.js';
import { enqueueOnce } from '../../queue/enqueue-once.js';
import type { App } from '../app.js';
import { problems } from '../app.js';
import { pageOf } from '../page.js';
import { HttpError } from '../problems.js';
import {
  attemptSchema,
  createBody,
  createdSchema,
  fullIssueSchema,
  idempotencyHeaders,
  idParams,
  listQuery,
  pageSchema,
} from '../schemas.js';
import type { Store } from '../store.js';
import { toNewIssue, wireAttempt, wireIssue } from '../wire.js';

export function registerIssues(app: App, { client, ask }: Store): void {
  app.get(
    '/api/issues',
    {
      schema: {
        tags: ['issues'],
        summary: 'List issues, newest first',
        querystring: listQuery,
        response: { 200: pageSchema, ...problems() },
      },
    },
    ({ query }) => pageOf(client, query),
  );

  app.post(
    '/api/issues',
    {
      schema: {
        tags: ['issues'],
        summary: 'Queue one issue, or up to 1,000: all or none',
        headers: idempotencyHeaders,
        body: createBody,
        response: { 201: createdSchema, ...problems(409, 413, 415, 422) },
      },
    },
    async ({ body, headers }, reply) => {
      const issues = ('issues' in body ? body.issues : [body]).map(toNewIssue);
      const key = headers['idempotency-key'];
      const ids = key === undefined ? await client.addMany(issues) : await once(key, issues);
      return reply.code(201).send({ ids });
    },
  );

  app.get(
    '/api/issues/:id',
    {
      schema: {
        tags: ['issues'],
        summary: 'One issue, with its attempts',
        params: idParams,
        response: { 200: fullIssueSchema, ...problems(404) },
      },
    },
    async ({ params: { id } }) => {
      const [issue, attempts] = await Promise.all([client.get(id), client.attempts(id)]);
      const progress = (await ask((db) => latestProgress(db, [issue]))).get(id) ?? null;
      return { ...wireIssue(issue), attempts: attempts.map(wireAttempt), progress };
    },
  );

  app.get(
    '/api/issues/:id/attempts',
    {
      schema: {
        tags: ['issues'],
        summary: 'Its attempts, oldest first; a running one has no end',
        params: idParams,
        response: { 200: z.object({ items: z.array(attemptSchema) }), ...problems(404) },
      },
    },
    async ({ params: { id } }) => {
      const [, attempts] = await Promise.all([client.get(id), client.attempts(id)]);
      return { items: attempts.map(wireAttempt) };
    },
  );

  async function once(key: string, issues: readonly NewIssue[]): Promise<number[]> {
    const digest = createHash('sha256').update(JSON.stringify(issues)).digest('base64url');
    const ids = await ask((db) => enqueueOnce(db, { key, digest }, issues));
    if (ids === null) throw new HttpError(422, 'Idempotency-Key: was used for another request within the last day');
    return ids;
  }
}

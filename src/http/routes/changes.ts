/** What is done to issues that exist: one, or several at once. */
import { CapeError } from '../../core/errors.js';
import type { App } from '../app.js';
import { problems } from '../app.js';
import {
  assignBody,
  bulkBody,
  bulkSchema,
  cancelledSchema,
  changeBody,
  idParams,
  issueSchema,
  retriedSchema,
  statusSchema,
} from '../schemas.js';
import type { Store } from '../store.js';
import { wireIssue } from '../wire.js';
import type { WireBulk } from '../wire-types.js';

const tags = ['issues'];

export function registerChanges(app: App, { client }: Store): void {
  app.patch(
    '/api/issues/:id',
    {
      schema: {
        tags,
        summary: 'Change a pending issue',
        params: idParams,
        body: changeBody,
        response: { 200: issueSchema, ...problems(404, 409, 413, 415) },
      },
    },
    async ({ params: { id }, body }) => {
      const { max_attempts: maxAttempts, timeout_seconds: timeoutSeconds, run_at, ...same } = body;
      const runAt = run_at == null ? run_at : new Date(run_at);
      return wireIssue(await client.change(id, { ...same, maxAttempts, timeoutSeconds, runAt }));
    },
  );

  app.delete(
    '/api/issues/:id',
    {
      schema: {
        tags,
        summary: 'Delete an issue that is not running, and its attempts',
        params: idParams,
        response: { 200: statusSchema, ...problems(404, 409) },
      },
    },
    async ({ params: { id } }) => {
      await client.delete(id);
      return { status: 'deleted' };
    },
  );

  app.post(
    '/api/issues/:id/retry',
    {
      schema: {
        tags,
        summary: 'Run an ended issue again with fresh counts, or a parked one now',
        params: idParams,
        response: { 200: retriedSchema, ...problems(404, 409) },
      },
    },
    async ({ params: { id } }) => ({ status: 'pending', retried: await client.retry(id) }),
  );

  app.post(
    '/api/issues/:id/cancel',
    {
      schema: {
        tags,
        summary: 'Cancel a pending issue; a running one is ended by its worker',
        params: idParams,
        response: { 200: cancelledSchema, ...problems(404, 409) },
      },
    },
    async ({ params: { id } }) => {
      const done = await client.cancel(id);
      const isEnded = done.state === 'cancelled';
      return {
        status: isEnded ? 'cancelled' : 'started',
        state: done.state,
        worker: isEnded ? null : done.worker,
      };
    },
  );

  app.post(
    '/api/issues/:id/assign',
    {
      schema: {
        tags,
        summary: 'Direct a pending issue to one worker, or (null) to any',
        params: idParams,
        body: assignBody,
        response: { 200: statusSchema, ...problems(404, 409, 413, 415) },
      },
    },
    async ({ params: { id }, body: { worker } }) => {
      await client.assign(id, worker);
      return { status: 'pending' };
    },
  );

  app.post(
    '/api/issues/retry',
    {
      schema: { tags, summary: 'Retry several', body: bulkBody, response: { 200: bulkSchema, ...problems(413, 415) } },
    },
    ({ body: { ids } }) => each(ids, (id) => client.retry(id)),
  );

  app.post(
    '/api/issues/cancel',
    {
      schema: { tags, summary: 'Cancel several', body: bulkBody, response: { 200: bulkSchema, ...problems(413, 415) } },
    },
    ({ body: { ids } }) => each(ids, (id) => client.cancel(id)),
  );
}

/** A refusal of one does not stop the others; any other error does, and may then have changed those before it. */
async function each(ids: readonly number[], change: (id: number) => Promise<unknown>): Promise<WireBulk> {
  const answer: WireBulk = { done: [], refused: [] };
  for (const id of new Set(ids)) {
    try {
      await change(id);
      answer.done.push(id);
    } catch (error) {
      if (!(error instanceof CapeError) || error.kind !== 'refused') throw error;
      answer.refused.push({ id, detail: error.message });
    }
  }
  return answer;
}

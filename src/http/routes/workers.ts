/** Workers and pauses. */
import { latestProgress } from '../../events/progress.js';
import { runningIssues } from '../../queue/running.js';
import type { App } from '../app.js';
import { problems } from '../app.js';
import { pausesSchema, workerParams, workersSchema } from '../schemas.js';
import type { Store } from '../store.js';
import { cut, timeOf, wireWorker } from '../wire.js';
import type { WireRunning } from '../wire-types.js';

const tags = ['workers'];
/** Characters of a description beside a worker. */
const SHORT = 200;

export function registerWorkers(app: App, { client, ask }: Store): void {
  app.get(
    '/api/workers',
    {
      schema: { tags, summary: 'Every worker that was ever seen', response: { 200: workersSchema, ...problems() } },
    },
    async () => {
      const [rows, running] = await Promise.all([client.workers(), ask(runningIssues)]);
      const told = await ask((db) => latestProgress(db, running));
      const of = new Map<string, WireRunning[]>();
      for (const { worker_id, description, started_at, ...issue } of running) {
        const shown = {
          ...issue,
          description: cut(description, SHORT),
          started_at: timeOf(started_at),
          progress: told.get(issue.id) ?? null,
        };
        of.set(worker_id, [...(of.get(worker_id) ?? []), shown]);
      }
      return { items: rows.map((row) => wireWorker(row, of.get(row.id) ?? [])) };
    },
  );

  for (const verb of ['pause', 'resume'] as const) {
    app.post(
      `/api/workers/:id/${verb}`,
      {
        schema: {
          tags,
          summary: verb === 'pause' ? 'Let one worker claim nothing more' : 'End the pause of one worker',
          params: workerParams,
          response: { 200: pausesSchema, ...problems() },
        },
      },
      async ({ params: { id } }) => {
        await client[verb](id);
        return pausesOf();
      },
    );
    app.post(
      `/api/${verb}`,
      {
        schema: {
          tags,
          summary: verb === 'pause' ? 'Let no worker claim any more' : 'End every pause',
          response: { 200: pausesSchema, ...problems() },
        },
      },
      async () => {
        await client[verb]();
        return pausesOf();
      },
    );
  }
  app.get(
    '/api/pauses',
    { schema: { tags, summary: 'Who is paused', response: { 200: pausesSchema, ...problems() } } },
    () => pausesOf(),
  );

  async function pausesOf() {
    const { everybody, workers } = await client.pauses();
    return { everybody, workers: [...workers] };
  }
}

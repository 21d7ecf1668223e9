/** Whether it lives, and whether it can do anything: for those who start and watch it. */
import type { App } from '../app.js';
import { healthSchema } from '../schemas.js';
import type { Store } from '../store.js';

export function registerHealth(app: App, { client }: Store): void {
  const config = { access: 'public', uncounted: true } as const;
  let asked: Promise<unknown> | null = null;
  // Of all tables the smallest; asked once for all who wait, since nobody counts them.
  const ask = () => {
    asked ??= client.pauses().finally(() => {
      asked = null;
    });
    return asked;
  };
  app.get(
    '/healthz',
    { config, schema: { tags: ['health'], summary: 'The process answers', response: { 200: healthSchema } } },
    async () => ({ status: 'ok' as const }),
  );
  app.get(
    '/readyz',
    {
      config,
      schema: {
        tags: ['health'],
        summary: 'The database answers, and has its tables',
        response: { 200: healthSchema, 503: healthSchema },
      },
    },
    async (_request, reply) => {
      try {
        await ask();
        return { status: 'ok' as const };
      } catch {
        return reply.code(503).send({ status: 'unready', detail: 'the database does not answer, or has no tables' });
      }
    },
  );
}

/** The numbers of the queue, for people and for Prometheus. */

import * as z from 'zod';
import { eventLag } from '../../events/lag.js';
import type { App } from '../app.js';
import { problems } from '../app.js';
import type { Metrics } from '../metrics.js';
import { historyQuery, historySchema, statsSchema } from '../number-schemas.js';
import type { Store } from '../store.js';
import { timeOf } from '../wire.js';

export function registerNumbers(app: App, { client, ask }: Store, metrics: Metrics): void {
  const tags = ['numbers'];
  app.get(
    '/api/stats',
    { schema: { tags, summary: 'How the queue is doing', response: { 200: statsSchema, ...problems() } } },
    async () => {
      const stats = await client.stats();
      return { ...stats, stranded: [...stats.stranded], estimated: [...stats.estimated] };
    },
  );
  app.get(
    '/api/stats/history',
    {
      schema: {
        tags,
        summary: 'What ended in each slice of the last minutes',
        querystring: historyQuery,
        response: { 200: historySchema, ...problems() },
      },
    },
    async ({ query: { minutes } }) => {
      const { buckets, ...rest } = await client.history(minutes);
      return { ...rest, buckets: buckets.map(({ at, ...bucket }) => ({ ...bucket, at: timeOf(at) })) };
    },
  );
  app.get(
    '/metrics',
    {
      schema: {
        tags,
        summary: 'For Prometheus',
        response: { 200: { description: 'Metrics', content: { 'text/plain': { schema: z.string() } } }, ...problems() },
      },
    },
    async (_request, reply) => {
      const text = await metrics.text({ client, eventLag: () => ask(eventLag) });
      return reply.header('content-type', metrics.contentType).serializer(String).send(text);
    },
  );
}

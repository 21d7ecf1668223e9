/** The numbers of the queue, as the API gives them. */
import * as z from 'zod';
import { time, whole } from './schemas.js';

export const statsSchema = z.object({
  pending: whole,
  parked: whole,
  started: whole,
  completed: whole,
  failed: whole,
  cancelled: whole,
  other: whole,
  oldest_pending_seconds: z.number().nullable(),
  completed_last_hour: whole,
  failed_last_hour: whole,
  stranded: z.array(z.object({ worker_id: z.string(), issues: whole, seen: z.boolean() })),
  estimated: z.array(z.string()).meta({ description: 'Names of the numbers that are estimates' }),
});

export const historyQuery = z.strictObject({
  minutes: z.coerce.number().int().min(1).max(10_080).default(60),
});
export const historySchema = z.object({
  bucket_seconds: whole,
  buckets: z.array(
    z.object({
      at: time,
      completed: z.number(),
      failed: z.number(),
      retried: z.number(),
      wait_ms: z.number().nullable(),
      run_ms: z.number().nullable(),
    }),
  ),
  estimated: z.boolean().meta({ description: 'The counts are estimates' }),
});

/** Events and how to ask for them. */
import * as z from 'zod';
import { EVENT_KINDS } from '../core/event.js';
import { time, whole } from './schemas.js';

export const eventSchema = z.object({
  issue_id: whole,
  seq: whole.meta({ description: "Counts the issue's own events; 0 is `queued`" }),
  cursor: z.string().meta({ description: 'Its place among the events of all issues' }),
  at: time,
  attempt: whole.nullable(),
  worker_id: z.string().nullable(),
  kind: z.enum(EVENT_KINDS),
  data: z.record(z.string(), z.unknown()),
});
export const eventsPageSchema = z.object({
  items: z.array(eventSchema),
  over: z.boolean().meta({ description: 'The issue has ended, and these are its last events' }),
});
const kinds = z.string().transform((text, context) => {
  const words = text.split(',').map((word) => word.trim());
  const wrong = words.find((word) => !(EVENT_KINDS as readonly string[]).includes(word));
  if (wrong === undefined) return words as (typeof EVENT_KINDS)[number][];
  context.addIssue({ code: 'custom', message: `must be some of ${EVENT_KINDS.join(', ')}, with commas` });
  return z.NEVER;
});
export const eventsQuery = z.strictObject({
  after: z.coerce.number().int().min(-1).max(2_147_483_647).default(-1).meta({
    description: 'Only events with a greater seq; -1: all, `queued` too',
  }),
  limit: z.coerce.number().int().min(1).max(1000).default(200).meta({ description: 'Of a page of JSON' }),
  kinds: kinds.optional().meta({ description: 'Only these, with commas; absent: all' }),
  attempt: z.coerce.number().int().min(1).max(2_147_483_647).optional().meta({ description: 'Only of this attempt' }),
});
export const allEventsQuery = z.strictObject({
  after: z.string().max(100).optional().meta({ description: 'A cursor; absent: from now on' }),
  kinds: kinds.optional().meta({ description: 'Only these, with commas; absent: all but `output`' }),
});

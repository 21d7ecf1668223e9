/**
 * What the API takes and gives: the one source of its checks, its types and its OpenAPI document. Names are those of the
 * columns. Nothing here knows Fastify, so that clients can have the types as well.
 */
import * as z from 'zod';
import { STATUSES, workerIdSchema } from '../core/issue.js';
import { ROLES } from '../core/values.js';

/** Postgres knows a time that never comes, and JSON does not: a row parked for good says it in this word. */
export const FOR_GOOD = 'infinity';

const TIME = /^(?:[+-]\d\d)?\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$|^infinity$/;
/** A time as text. */
export const time = z.string().regex(TIME).meta({
  description: 'UTC with milliseconds, or "infinity"',
  example: '2026-03-01T14:30:00.000Z',
});
export const whole = z.int();

export const idSchema = z.coerce
  .number({ error: 'must be an id, a whole number from 1 to 2147483647' })
  .int({ error: 'must be an id, a whole number from 1 to 2147483647' })
  .min(1, { error: 'must be an id, a whole number from 1 to 2147483647' })
  .max(2_147_483_647, { error: 'must be an id, a whole number from 1 to 2147483647' });

export const idParams = z.object({ id: idSchema });
export const workerParams = z.object({ id: workerIdSchema });

export const progressSchema = z
  .object({ percent: z.number().min(0).max(100).nullable(), message: z.string().nullable() })
  .meta({ description: 'The latest that the command has told of itself' });

export const issueSchema = z.object({
  id: whole,
  description: z.string(),
  status: z.string().meta({ description: `One of ${STATUSES.join(', ')}; others are no worker's business` }),
  assigned_worker_id: z.string().nullable(),
  created_at: time,
  updated_at: time,
  started_at: time.nullable(),
  completed_at: time.nullable(),
  priority: whole,
  run_at: time.nullable(),
  target_worker_id: z.string().nullable(),
  max_attempts: whole.nullable(),
  timeout_seconds: whole.nullable(),
  attempt: whole,
  failures: whole,
  crashes: whole,
  snoozes: whole,
  generation: whole,
  result: z.string().nullable(),
  last_error: z.string().nullable(),
  type: z.string(),
  params: z.unknown(),
  key: z.string().nullable(),
});

/** An issue of a list: with `summary` cut, and without what may be long. */
export const listedIssueSchema = issueSchema.partial({ result: true, params: true }).extend({
  description_cut: z.boolean().optional().meta({ description: 'Of a summary: there is more of the description' }),
});

export const attemptSchema = z.object({
  issue_id: whole,
  attempt: whole,
  worker_id: z.string(),
  started_at: time,
  ended_at: time.nullable(),
  outcome: z.string().nullable(),
  exit_code: whole.nullable(),
  signal: z.string().nullable(),
  error: z.string().nullable(),
  tail: z.string().nullable(),
  log_path: z.string().nullable(),
  log_host: z.string().nullable(),
});

export const fullIssueSchema = issueSchema.extend({
  attempts: z.array(attemptSchema),
  progress: progressSchema.nullable(),
});

export const pageSchema = z.object({
  items: z.array(listedIssueSchema),
  next: z.string().nullable().meta({ description: 'The cursor of the next page; null where there is none' }),
  complete: z.boolean().meta({ description: 'False where the search stopped before its end: go on with `next`' }),
});

const statuses = z.string().transform((text, context) => {
  const words = text.split(',').map((word) => word.trim());
  const wrong = words.find((word) => !(STATUSES as readonly string[]).includes(word));
  if (wrong === undefined) return words as (typeof STATUSES)[number][];
  context.addIssue({ code: 'custom', message: `must be one of ${STATUSES.join(', ')}, several with commas` });
  return z.NEVER;
});

export const listQuery = z.strictObject({
  status: statuses.optional().meta({ description: 'One status, or several with commas' }),
  worker: workerIdSchema.optional().meta({ description: 'Directed to it, or that it runs or ran last' }),
  search: z.string().max(1000).optional().meta({ description: 'Part of the description, in any case' }),
  limit: z.coerce.number().int().min(1).max(1000).default(50),
  cursor: z.string().max(200).optional().meta({ description: '`next` of the page before' }),
  summary: z.enum(['true', 'false']).default('false').meta({ description: 'Cut descriptions, no results' }),
});

const runAt = z.iso
  .datetime({ offset: true, error: 'must be a time such as 2026-03-01T14:30:00Z or with +01:00' })
  .meta({ description: 'Not before then' });
const integer = (min: number, max: number) => {
  const error = `must be a whole number from ${min} to ${max}`;
  return z.int({ error }).min(min, { error }).max(max, { error });
};
const priority = integer(-32_768, 32_767).meta({ description: 'Higher runs first' });
const maxAttempts = integer(0, 32_767).meta({ description: 'Failures allowed, 0 = no limit' });
const timeoutSeconds = integer(1, 31_536_000).meta({ description: 'Seconds that a run may take' });

export const newIssueSchema = z
  .strictObject({
    description: z.string({ error: 'must be a text' }).refine((text) => text.trim() !== '', {
      error: 'must not be empty',
    }),
    priority: priority.optional(),
    worker: workerIdSchema.optional().meta({ description: 'Only this worker may run it' }),
    max_attempts: maxAttempts.optional(),
    timeout_seconds: timeoutSeconds.optional(),
    run_at: runAt.optional(),
    delay_ms: integer(0, 31_536_000_000).optional().meta({ description: 'Not before so many milliseconds from now' }),
    key: z
      .string()
      .max(200)
      .optional()
      .meta({ description: 'While an issue with it is unfinished, that one is given' }),
  })
  .refine(({ run_at, delay_ms }) => run_at === undefined || delay_ms === undefined, {
    error: 'got run_at together with delay_ms; choose one of the two',
  });

/** Of one call. Above it a statement would hold too many locks for too long. */
export const MOST_ISSUES = 1000;

export const createBody = z.union([
  newIssueSchema,
  z.strictObject({ issues: z.array(newIssueSchema).min(1).max(MOST_ISSUES) }),
]);
export const createdSchema = z.object({ ids: z.array(whole).meta({ description: 'In the order of the request' }) });
export const idempotencyHeaders = z.object({
  'idempotency-key': z
    .string()
    .regex(/^[\x21-\x7e]{1,200}$/, { error: 'must be 1 to 200 visible ASCII characters' })
    .optional()
    .meta({ description: 'The same key with the same body gives the same answer, for a day' }),
});

export const changeBody = z
  .strictObject({
    priority: priority.optional(),
    worker: workerIdSchema.nullable().optional(),
    run_at: runAt.nullable().optional(),
    max_attempts: maxAttempts.nullable().optional(),
    timeout_seconds: timeoutSeconds.nullable().optional(),
  })
  .refine((body) => Object.keys(body).length > 0, { error: 'must change something' });
export const assignBody = z.strictObject({ worker: workerIdSchema.nullable() });
export const bulkBody = z.strictObject({ ids: z.array(integer(1, 2_147_483_647)).min(1).max(MOST_ISSUES) });
export const bulkSchema = z.object({
  done: z.array(whole),
  refused: z.array(z.object({ id: whole, detail: z.string() })),
});

export const retriedSchema = z.object({ status: z.string(), retried: z.enum(['again', 'now', 'waiting']) });
export const cancelledSchema = z.object({
  status: z.string(),
  state: z.enum(['cancelled', 'ending']),
  worker: z.string().nullable().meta({ description: 'Who ends it, where it was running' }),
});
export const statusSchema = z.object({ status: z.string() });

export const WORKER_STATES = ['running', 'paused', 'stopped', 'stale'] as const;
export const runningSchema = z.object({
  id: whole,
  description: z.string(),
  attempt: whole,
  started_at: time,
  progress: progressSchema.nullable(),
});
export const workerSchema = z.object({
  id: z.string(),
  state: z.enum(WORKER_STATES),
  instance: z.string(),
  host: z.string(),
  machine: z.string(),
  pid: whole,
  pid_start: z.string(),
  version: z.string(),
  slots: whole,
  running: whole,
  log_dir: z.string().nullable(),
  helpers: z.unknown(),
  started_at: time,
  heartbeat_at: time,
  silent_ms: z.number(),
  waiting_until: time.nullable(),
  stopped_at: time.nullable(),
  paused: z.boolean(),
  issues: z.array(runningSchema),
});
export const workersSchema = z.object({ items: z.array(workerSchema) });
export const pausesSchema = z.object({ everybody: z.boolean(), workers: z.array(z.string()) });

export const outputQuery = z.strictObject({
  attempt: z.coerce.number().int().min(1).max(2_147_483_647).optional().meta({ description: 'Absent: the latest' }),
  tail: z.coerce
    .number()
    .int()
    .min(0)
    .max(2 ** 53 - 1)
    .optional()
    .meta({ description: 'At most so many bytes of its end' }),
});

export const loginBody = z.strictObject({ token: z.string().min(1).max(1000) });
export const meSchema = z.object({ role: z.enum(ROLES), version: z.string() });
export const healthSchema = z.object({ status: z.enum(['ok', 'unready']), detail: z.string().optional() });

/** RFC 9457. */
export const problemSchema = z
  .object({
    type: z.string(),
    title: z.string(),
    status: whole,
    detail: z.string(),
  })
  .meta({ description: 'What went wrong (RFC 9457)' });

/** The types of what goes over the wire, made from the schemas: types alone, so that a browser need not load zod for them. */
import type * as z from 'zod';
import type { eventSchema } from './event-schemas.js';
import type { historySchema, statsSchema } from './number-schemas.js';
import type {
  attemptSchema,
  bulkSchema,
  cancelledSchema,
  changeBody,
  fullIssueSchema,
  issueSchema,
  listedIssueSchema,
  meSchema,
  newIssueSchema,
  pageSchema,
  pausesSchema,
  problemSchema,
  progressSchema,
  retriedSchema,
  runningSchema,
  workerSchema,
} from './schemas.js';

export type { EventKind } from '../core/event.js';
export type Progress = z.output<typeof progressSchema>;
export type WireIssue = z.output<typeof issueSchema>;
export type WireListedIssue = z.output<typeof listedIssueSchema>;
export type WireFullIssue = z.output<typeof fullIssueSchema>;
export type WireAttempt = z.output<typeof attemptSchema>;
export type WirePage = z.output<typeof pageSchema>;
export type WireWorker = z.output<typeof workerSchema>;
export type WireRunning = z.output<typeof runningSchema>;
export type WireStats = z.output<typeof statsSchema>;
export type WireEvent = z.output<typeof eventSchema>;
export type WireNewIssue = z.input<typeof newIssueSchema>;
export type WireChange = z.input<typeof changeBody>;
export type WireRetried = z.output<typeof retriedSchema>;
export type WireCancelled = z.output<typeof cancelledSchema>;
export type WireBulk = z.output<typeof bulkSchema>;
export type Problem = z.output<typeof problemSchema>;
export type WireMe = z.output<typeof meSchema>;
export type WirePauses = z.output<typeof pausesSchema>;
export type WireHistory = z.output<typeof historySchema>;

/** What the API answers. Types alone: of the server nothing else comes into the page. */
import type {
  Progress,
  WireAttempt,
  WireBulk,
  WireEvent,
  WireFullIssue,
  WireHistory,
  WireListedIssue,
  WireMe,
  WireNewIssue,
  WirePage,
  WireRunning,
  WireStats,
  WireWorker,
} from '../../http/wire-types.js';

export const STATUSES = ['pending', 'started', 'completed', 'failed', 'cancelled'] as const;
export type Status = (typeof STATUSES)[number];

/** Of a list: `result` and `params` are left out there. */
export type Issue = WireListedIssue;
export type IssueDetail = WireFullIssue;
export type IssuePage = Pick<WirePage, 'next' | 'complete'> & { readonly items: readonly Issue[] };
export type Attempt = WireAttempt;
export type NewIssue = WireNewIssue;
export type RunningIssue = WireRunning;
export type Worker = WireWorker;
export type WorkerState = Worker['state'];
export type Stats = WireStats;
export type History = WireHistory;
export type Bucket = History['buckets'][number];
export type Me = WireMe;
export type Bulk = WireBulk;
export type IssueEvent = WireEvent;
export type { Progress };

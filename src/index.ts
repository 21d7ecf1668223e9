/** What a program that embeds the worker imports. Exports only. */
export {
  type CapeClient,
  type Change,
  type ClientOptions,
  createClient,
  type History,
  type ListedIssue,
  type ListFilter,
  type NewIssue,
  type Page,
  type PageFilter,
  type Stats,
  type WaitOptions,
  type WorkerRow,
} from './client.js';
export { type Config, type FlagValues, type LoadedConfig, loadConfig } from './config.js';
export { CapeError, type ErrorKind, EXIT } from './core/errors.js';
export { type Attempt, type ClaimedIssue, type Issue, STATUSES, type Status } from './core/issue.js';
export { type MigrateOptions, migrate } from './db/migrate.js';
export type { Log } from './log.js';
export type { Handler, HandlerContext } from './worker/handler.js';
export { IssueWorker, type IssueWorkerOptions } from './worker/issue-worker.js';
export type { WorkerObserver } from './worker/observer.js';
export type { RunningIssue, StateObserver, WorkerPhase, WorkerState } from './worker/state.js';

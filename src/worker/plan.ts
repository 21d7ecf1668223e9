/** From a claim to the command that runs for it: arguments, environment and files, complete before anything starts. */
import { join } from 'node:path';
import type { Config } from '../config.js';
import { messageOf } from '../core/errors.js';
import type { Claim } from '../core/issue.js';
import type { Outcome } from '../core/outcome.js';
import { planArguments, type ResolvedCommand, takesDescription } from '../execution/command.js';
import type { CommandSpec } from '../execution/spec.js';
import type { Condition } from '../log/condition.js';
import { type AttemptFiles, makeFiles } from './attempt-files.js';

/** Kept in the attempt's row: enough to see why it ended, small enough for a table of millions. */
const TAIL_BYTES = 8 * 1024;

/** Where a worker's helper processes keep what a successor must know. A function of what the worker's row tells. */
export function stateDirOf(logDir: string, workerId: string): string {
  return join(logDir, '.state', workerId);
}

export interface PlanParts {
  readonly config: Config;
  readonly workerId: string;
  readonly command: ResolvedCommand;
  /** What a command gets of the worker's environment. */
  readonly environment: Readonly<Record<string, string>>;
  /** What an observer adds to it. */
  readonly variables?: (() => Readonly<Record<string, string>>) | undefined;
  readonly workingDir: string;
  readonly databaseId: string;
  readonly graceMs: number;
  /** Told whether the disk of the logs takes what is written to it. */
  readonly disk: Condition;
}

/**
 * Makes the files of the attempt, and the spec of the command.
 * Nothing is thrown: what makes a run impossible is an Outcome like any other end.
 */
export function planCommand(
  claim: Claim,
  wanted: AttemptFiles,
  parts: PlanParts,
): { readonly spec: CommandSpec; readonly files: AttemptFiles } | Outcome {
  const { command } = parts;
  // Only a row written by hand has none.
  if (claim.issue.description.trim() === '' && takesDescription(command))
    return { kind: 'invalid', error: 'the description is empty: there is nothing to do' };
  const planned = planArguments(command, { id: claim.issue.id, description: claim.issue.description });
  if (!('file' in planned)) return planned;
  let files: AttemptFiles;
  try {
    files = makeFiles(wanted, claim.attempt, issueFile(claim, parts), parts.disk);
  } catch (error) {
    return { kind: 'unrunnable', error: `the files of the attempt can't be made: ${messageOf(error)}` };
  }
  return { spec: specOf(claim, files, planned, parts), files };
}

function specOf(
  claim: Claim,
  files: AttemptFiles,
  planned: { readonly file: string; readonly args: readonly string[] },
  parts: PlanParts,
): CommandSpec {
  const { config } = parts;
  return {
    id: `${claim.issue.id}/${claim.attempt}`,
    // The claim's own token is shared by all that were claimed with it: a sweep for it would end their runs too.
    token: `${claim.token}-${claim.issue.id}`,
    file: planned.file,
    args: planned.args,
    env: { ...parts.environment, ...parts.variables?.(), ...commandVariables(claim, files, parts) },
    cwd: parts.workingDir,
    timeoutMs: timeoutOf(claim, config),
    idleTimeoutMs: config.idleTimeout,
    graceMs: parts.graceMs,
    logPath: files.log,
    logLimit: config.outputLimit,
    tailBytes: TAIL_BYTES,
    tellsOutput: config.outputEvents > 0,
    exitCodes: { invalid: config.failExitCodes, snooze: config.snoozeExitCodes },
  };
}

/** An issue's own timeout goes before the worker's; milliseconds. */
export function timeoutOf(claim: Claim, config: Config): number {
  const own = claim.issue.timeout_seconds;
  return own !== null && own > 0 ? own * 1000 : config.timeout;
}

/** Names the work itself: the same over all attempts, new after a person's `retry`. */
export function idempotencyKey(databaseId: string, claim: Claim): string {
  return `${databaseId}-${claim.issue.id}-${claim.issue.generation}`;
}

function commandVariables(claim: Claim, files: AttemptFiles, parts: PlanParts): Record<string, string> {
  return {
    CAPE_ISSUE_ID: String(claim.issue.id),
    CAPE_ATTEMPT: String(claim.attempt),
    CAPE_WORKER_ID: parts.workerId,
    CAPE_IDEMPOTENCY_KEY: idempotencyKey(parts.databaseId, claim),
    CAPE_ISSUE_FILE: files.issue,
    CAPE_RESULT_FILE: files.result,
    CAPE_EVENTS_FILE: files.events,
  };
}

/** Postgres writes `2026-11-22 18:55:25.726+00`, which few JSON readers take for a time. */
export function isoTime(text: string): string {
  const time = new Date(text.replace(' ', 'T').replace(/([+-]\d\d)$/, '$1:00'));
  return Number.isNaN(time.getTime()) ? text : time.toISOString();
}

function issueFile(claim: Claim, { workerId, databaseId }: PlanParts): string {
  const { issue } = claim;
  return `${JSON.stringify(
    {
      id: issue.id,
      description: issue.description,
      attempt: claim.attempt,
      worker_id: workerId,
      idempotency_key: idempotencyKey(databaseId, claim),
      priority: issue.priority,
      created_at: isoTime(issue.created_at),
      failures: issue.failures,
      type: issue.type,
      params: issue.params,
    },
    null,
    2,
  )}\n`;
}

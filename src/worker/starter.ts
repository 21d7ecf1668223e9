/** What a claim becomes: a command in its process tree, or a call of the embedding program's handler. */
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Config } from '../config.js';
import type { Claim } from '../core/issue.js';
import type { Outcome } from '../core/outcome.js';
import { isPast, nowInThisTurn } from '../execution/clock.js';
import { childEnvironment, type ResolvedCommand } from '../execution/command.js';
import type { Deadline, Executor, Run } from '../execution/spec.js';
import { Condition } from '../log/condition.js';
import type { Log } from '../log.js';
import { type AttemptFiles, attemptFiles } from './attempt-files.js';
import { type Handler, startHandler, type Tell } from './handler.js';
import { idempotencyKey, planCommand, timeoutOf } from './plan.js';

/** Starts what a claim asks for. A spec that can't be made is an Outcome, not an exception. */
export interface Starter {
  start(claim: Claim, until: Deadline): { run: Run | Outcome; files: AttemptFiles | null };
}

export interface CommandStarterParts {
  readonly executor: Executor;
  readonly config: Config;
  readonly workerId: string;
  readonly command: ResolvedCommand;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** More of them, asked for with each start. Default: none. */
  readonly variables?: (() => Readonly<Record<string, string>>) | undefined;
  /** Absolute. */
  readonly workingDir: string;
  /** Absolute. */
  readonly logDir: string;
  readonly databaseId: string;
  readonly log: Log;
}

export function commandStarter(parts: CommandStarterParts): Starter {
  const where = join(parts.logDir, 'issues');
  const disk = new Condition(
    parts.log,
    `the files of attempts can't be written below ${where}; commands run on with theirs in ${tmpdir()}`,
    `the files of attempts are written below ${where} again`,
  );
  const { executor, config } = parts;
  const environment = childEnvironment(parts.environment, config.passEnv);
  const planParts = { ...parts, environment, disk, graceMs: config.grace };
  return {
    start(claim: Claim, until: Deadline) {
      const files = attemptFiles(parts.logDir, claim.issue.id, claim.attempt);
      const planned = planCommand(claim, files, planParts);
      if ('kind' in planned) return { run: planned, files: null };
      return { run: executor.start(planned.spec, until), files: planned.files };
    },
  };
}

const TOO_LATE: Outcome = { kind: 'interrupted', error: 'its lease was too old when the answer to the claim was read' };

export function handlerStarter(handler: Handler, config: Config, databaseId: string, log: Log, tell: Tell): Starter {
  return {
    start(claim: Claim, until: Deadline) {
      // The answer lay unread while this process was frozen. A keeper looks by itself, a function could not be ended.
      if (isPast(until, nowInThisTurn())) return { run: TOO_LATE, files: null };
      const key = idempotencyKey(databaseId, claim);
      const parts = { log, idempotencyKey: key, tell };
      return { run: startHandler(handler, claim, parts, timeoutOf(claim, config)), files: null };
    },
  };
}

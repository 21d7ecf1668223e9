/** What a claim becomes: a command in its process tree, or a call of the embedding program's handler. */
import type { Config } from '../config.js';
import type { Claim } from '../core/issue.js';
import type { Outcome } from '../core/outcome.js';
import { isPast } from '../execution/clock.js';
import type { ResolvedCommand } from '../execution/command.js';
import type { Deadline, Executor } from '../execution/spec.js';
import type { Log } from '../log.js';
import type { Starter } from './attempts.js';
import { type Handler, startHandler } from './handler.js';
import { attemptFiles, idempotencyKey, planCommand, timeoutOf } from './plan.js';

export interface CommandStarterParts {
  readonly executor: Executor;
  readonly config: Config;
  readonly workerId: string;
  readonly command: ResolvedCommand;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Absolute. */
  readonly workingDir: string;
  /** Absolute. */
  readonly logDir: string;
  readonly databaseId: string;
}

export function commandStarter(parts: CommandStarterParts): Starter {
  return {
    start(claim: Claim, until: Deadline) {
      const files = attemptFiles(parts.logDir, claim.issue.id, claim.attempt);
      const spec = planCommand(claim, files, { ...parts, graceMs: parts.config.grace });
      if ('kind' in spec) return { run: spec, files: null };
      return { run: parts.executor.start(spec, until), files };
    },
  };
}

const TOO_LATE: Outcome = { kind: 'interrupted', error: 'its lease was too old when the answer to the claim was read' };

export function handlerStarter(handler: Handler, config: Config, databaseId: string, log: Log): Starter {
  return {
    start(claim: Claim, until: Deadline) {
      // The answer lay unread while this process was frozen. A keeper looks by itself, a function could not be ended.
      if (isPast(until)) return { run: TOO_LATE, files: null };
      const key = idempotencyKey(databaseId, claim);
      const parts = { log, idempotencyKey: key };
      return { run: startHandler(handler, claim, parts, timeoutOf(claim, config)), files: null };
    },
  };
}

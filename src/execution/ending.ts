/** From what the keeper tells to the Outcome of the attempt. */
import { type Outcome, outcomeOfExit } from '../core/outcome.js';
import type { Ending, StartFailure } from './protocol.js';
import type { CommandSpec, EndReason } from './spec.js';

/** The description does not fit into the arguments of a command. */
export const TOO_LONG: Outcome = {
  kind: 'invalid',
  error:
    'the description is too long for one argument (128 KiB on Linux): ' +
    'use a --command template without {description} and read the file named in CAPE_ISSUE_FILE',
};

/** How a run that was started has ended. */
export function outcomeOfEnding(ending: Ending, spec: CommandSpec): Outcome {
  const { code, signal, why, tail } = ending;
  if (why) return { ...outcomeOfReason(why, spec), exitCode: code, signal, tail };
  if (code === null && signal === null)
    return { kind: 'lost', error: 'its process could not be ended nor waited for', tail };
  return { ...outcomeOfExit({ code, signal }, spec.exitCodes), tail };
}

/** What it means that we ended a run, or never began it, for that reason. */
export function outcomeOfReason(why: EndReason, spec: CommandSpec): Outcome {
  switch (why) {
    case 'timed_out':
      return { kind: 'timed_out', error: `ran longer than the ${seconds(spec.timeoutMs)} allowed` };
    case 'idle':
      return { kind: 'timed_out', error: `printed nothing for ${seconds(spec.idleTimeoutMs)}` };
    case 'cancelled':
      return { kind: 'cancelled', error: 'cancelled while it ran' };
    case 'interrupted':
      return { kind: 'interrupted', error: 'ended by the worker before it was done' };
    case 'unconfirmed':
      return { kind: 'interrupted', error: 'ended because its lease could not be confirmed in time' };
  }
}

/** What it means that our own start of the command failed. */
export function outcomeOfFailure(failure: StartFailure, spec: Pick<CommandSpec, 'file' | 'cwd'>): Outcome {
  const { stage, code, message } = failure;
  const { file, cwd } = spec;
  if (code === 'E2BIG') return TOO_LONG;
  // A bug of whoever made the spec, but to try it again would never help.
  if (code === 'ERR_INVALID_ARG_VALUE') return { kind: 'invalid', error: `can't start ${file}: ${message}` };
  const error = {
    cwd: `can't use the working directory ${cwd}: ${message}`,
    output: `can't make a pipe for the output of ${file}: ${message}`,
    exec: `can't start ${file}: ${message}`,
  }[stage];
  return { kind: 'unrunnable', error: error.includes(code) ? error : `${error} (${code})` };
}

function seconds(ms: number): string {
  return `${ms / 1000} s`;
}

/** From what the keeper tells to the Outcome of the attempt. */
import { type Outcome, outcomeOfExit } from '../core/outcome.js';
import type { Ending, StartFailure } from './protocol.js';
import type { CommandSpec, EndReason } from './spec.js';

/** How a run that was started has ended. */
export function outcomeOfEnding(ending: Ending, spec: CommandSpec): Outcome {
  const { code, signal, why, tail } = ending;
  if (why) return { ...outcomeOfReason(why, spec), exitCode: code, signal, tail };
  if (code === null && signal === null)
    return { kind: 'interrupted', error: 'its process could not be ended nor waited for', tail };
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
  if (code === 'E2BIG')
    return {
      kind: 'invalid',
      error:
        'the description is too long for one argument (128 KiB on Linux): ' +
        'use a --command template without {description} and read the file named in CAPE_ISSUE_FILE',
    };
  const error = {
    cwd: `can't use the working directory ${spec.cwd}: ${message}`,
    output: `can't make a pipe for the output of ${spec.file}: ${message}`,
    exec: `can't start ${spec.file}: ${message}`,
  }[stage];
  return { kind: 'unrunnable', error: error.includes(code) ? error : `${error} (${code})` };
}

/**
 * Refuses a spec that no kernel takes, before anything is started; null where it is fine. An argument ends at its
 * first NUL, so a text that holds one can't be given to a command.
 */
export function refusal(spec: CommandSpec): Outcome | null {
  const texts = [spec.file, ...spec.args, ...Object.entries(spec.env).flat()];
  if (!texts.some((text) => text.includes('\0'))) return null;
  return { kind: 'invalid', error: 'the description holds a NUL character, which no argument of a command can hold' };
}

function seconds(ms: number): string {
  return `${ms / 1000} s`;
}

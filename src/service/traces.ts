/** What a worker leaves in its log folder. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '../core/errors.js';
import { oneLine } from '../core/text.js';

export interface Traces {
  readonly paths: readonly string[];
  /** Why they could not be looked for; null where they could. */
  readonly problem: string | null;
}

export const NO_TRACES: Traces = { paths: [], problem: null };

/**
 * The logs and the state of one worker. The issues' own logs are shared: they are among them only where no other worker
 * has left a trace, since root does not see the services of users.
 * @param alone no other service that we see has this log folder
 */
export function tracesOf(workerId: string, logDir: string, alone: boolean): Traces {
  try {
    const names = namesIn(logDir);
    const logs = logsOf(workerId);
    const states = namesIn(join(logDir, '.state'));
    const strangers = [
      ...names.filter((name) => /^\.?worker_/.test(name) && !logs.test(name)),
      ...states.filter((name) => name !== workerId),
    ];
    const last = alone && strangers.length === 0;
    const traces = names.filter((name) => logs.test(name) || (last && name === 'issues'));
    if (states.includes(workerId)) traces.push(join('.state', workerId));
    return { paths: traces.sort().map((name) => join(logDir, name)), problem: null };
  } catch (error) {
    return { paths: [], problem: `its logs and state in ${oneLine(logDir)} stay: ${oneLine(messageOf(error))}` };
  }
}

function namesIn(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder) : [];
}

/** The names of its log files. */
function logsOf(workerId: string): RegExp {
  const own = `worker_${workerId.replaceAll('.', '\\.')}`;
  return new RegExp(
    `^(\\.${own}-audit\\.json|${own}(-\\d{4}-\\d{2}-\\d{2}(\\.\\d+)?|_std(out|err))?\\.log(\\.\\d+)?)$`,
  );
}

/** Whether the host shuts down while a worker drains: it must not be held up for an hour. */
import { setTimeout as sleep } from 'node:timers/promises';
import { findTool } from './find-tool.js';

type Environment = Readonly<Record<string, string | undefined>>;

const DEADLINE_MS = 2000;

/** A reboot that comes in the middle of a drain sends no second SIGTERM, and would wait for it to its end. */
const ASK_EVERY_MS = 10_000;

/**
 * For when SIGTERM has come. Asks systemd, now and then every ten seconds, whether it shuts down; for a user's service
 * also that user's own manager, which ends with the last session where there is no linger. No answer within 2 s is a no.
 * @param done aborted when there is nothing left to end
 * @returns a function that resolves with the reason why everything ends, in words; with null where it does not
 */
export function everythingEnds(environment: Environment, everyMs = ASK_EVERY_MS) {
  const { NOTIFY_SOCKET, INVOCATION_ID, MANAGERPID } = environment;
  const systemctl = findTool('systemctl', environment);
  // Not started by systemd.
  if ((!NOTIFY_SOCKET && !INVOCATION_ID) || systemctl === null) return async () => null;
  // Loaded now: by the time of the signal the program's files may be those of another version.
  const tools = import('./tool.js');
  const isStopping = async (...scope: string[]) => {
    const { runTool } = await tools;
    const { stdout } = await runTool(systemctl, [...scope, 'is-system-running'], { timeoutMs: DEADLINE_MS });
    return stdout.trim() === 'stopping';
  };
  const ask = async () => {
    // systemd sets MANAGERPID for what a user's manager starts.
    const answers = await Promise.allSettled([isStopping(), MANAGERPID ? isStopping('--user') : false]);
    const [host, user] = answers.map((answer) => answer.status === 'fulfilled' && answer.value);
    if (host) return 'the host is shutting down';
    return user ? "the user's service manager is leaving" : null;
  };
  return async (done: AbortSignal): Promise<string | null> => {
    while (!done.aborted) {
      const why = await ask();
      if (why !== null) return why;
      await sleep(everyMs, undefined, { signal: done, ref: false }).catch(() => {}); // aborted
    }
    return null;
  };
}

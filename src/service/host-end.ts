/** Whether a SIGTERM means that the host shuts down: a drain must not hold that up for an hour. */
import { findTool } from './find-tool.js';

type Environment = Readonly<Record<string, string | undefined>>;

const DEADLINE_MS = 2000;

/**
 * Gives a question to ask when SIGTERM comes: does systemd shut down? For a user's service also that user's own manager,
 * which ends with the last session where there is no linger. The answer takes 2 s at most and never throws: without one
 * it is no.
 * @returns why everything ends, in words; null where it does not, or nobody knows
 */
export function whyEverythingEnds(environment: Environment): () => Promise<string | null> {
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
  return async () => {
    // systemd sets MANAGERPID for what a user's manager starts.
    const answers = await Promise.allSettled([isStopping(), MANAGERPID ? isStopping('--user') : false]);
    const [host, user] = answers.map((answer) => answer.status === 'fulfilled' && answer.value);
    if (host) return 'the host is shutting down';
    return user ? "the user's service manager is leaving" : null;
  };
}

/** Says what is waited for while a service stops: its running issues. */
import { setTimeout as sleep } from 'node:timers/promises';
import { lookAtWork } from '../service/at-work.js';
import type { InstalledService } from '../service/installed.js';
import { toStderr } from './database.js';
import { issueText } from './service-report.js';

/** An idle worker has stopped by then, and nothing is to be said. */
const AT_ONCE_MS = 1000;

/**
 * @param pid the process that is to stop
 * @param done settles when it is no longer waited for
 * @returns what `done` gives
 */
export async function sayWaits<T>(
  service: InstalledService,
  pid: number | null,
  done: Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  const settled = done.then(
    () => true,
    () => true,
  );
  if (await Promise.race([settled, sleep(AT_ONCE_MS, false)])) return done;
  const line = await waitsFor(service, pid);
  if (line !== null && !signal.aborted) toStderr(line);
  return done;
}

async function waitsFor({ manager, workerId, spec }: InstalledService, pid: number | null): Promise<string | null> {
  const atWork = await lookAtWork(spec);
  // Asked after the database: what runs may be the next process's.
  const state = await manager.state(workerId).catch(() => null);
  if (pid === null || state?.pid !== pid) return null;
  const ways = `Ctrl-C ends only the waiting; cape-worker service stop ${workerId} --now ends what runs`;
  const name = manager.nameOf(workerId);
  if (typeof atWork === 'string') return `${name} waits for its running issues (${ways})`;
  // Without any it writes down what has ended, and leaves in a moment.
  return atWork.issues.length === 0
    ? null
    : `${name} waits for issue ${atWork.issues.map(issueText).join('; ')} (${ways})`;
}

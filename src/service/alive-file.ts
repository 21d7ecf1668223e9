/**
 * A file whose time says that the worker lives, for the health check of a container. Docker and Kubernetes see a process
 * that ended by themselves; what they can't see is one whose event loop hangs. Never tied to the database: an outage would
 * have healthy workers killed, and their issues with them.
 */
import { rm, writeFile } from 'node:fs/promises';
import { messageOf } from '../core/errors.js';
import type { Log } from '../log.js';
import type { WorkerState } from '../worker/state.js';

export interface AliveFile {
  /** For `onState` of the worker. */
  readonly state: (state: WorkerState) => void;
  /** Removes the file. */
  close(): Promise<void>;
}

/** A check takes a file of a minute for dead: five beats may fail. */
const BEAT_MS = 10_000;

/** Writes the file now and every 10 s while the worker's loops turn. Without a path it does nothing; never throws. */
export function keepAliveFile(path: string | undefined, log: Log, beatMs = BEAT_MS): AliveFile {
  if (path === undefined) return { state() {}, async close() {} };
  let stuck: string | null = null;
  let complained = false;
  let writing = Promise.resolve();
  const beat = () => {
    if (stuck !== null) return;
    writing = writeFile(path, `${process.pid}\n`).catch((error) => {
      if (!complained) log.warn(`the file of the health check can't be written: ${messageOf(error)}`);
      complained = true;
    });
  };
  beat();
  const timer = setInterval(beat, beatMs).unref();
  return {
    state(state) {
      stuck = state.stuck;
    },
    async close() {
      clearInterval(timer);
      await writing;
      await rm(path, { force: true }).catch(() => {}); // said when it was written
    },
  };
}

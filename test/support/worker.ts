/** Workers for tests, in this process: each with folders of its own and a log that the test can read. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach } from 'vitest';
import { IssueWorker, type IssueWorkerOptions } from '../../src/worker/issue-worker.js';

export interface TestWorker {
  readonly worker: IssueWorker;
  /** What it has logged, a line each, `level: message`. */
  readonly lines: string[];
  readonly dir: string;
  /** Settles when the worker has stopped. */
  readonly done: Promise<void>;
  /** Stops it, a second and a third time where asked to, and waits. */
  stop(times?: number): Promise<void>;
}

const folders: string[] = [];
const workers: TestWorker[] = [];

afterEach(async () => {
  for (const each of workers.splice(0)) await each.stop(3).catch(() => {});
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

/** A folder that is removed after the test. */
export function tempFolder(prefix = 'cape test '): string {
  const folder = mkdtempSync(join(tmpdir(), prefix));
  folders.push(folder);
  return folder;
}

type Settings = Partial<Extract<IssueWorkerOptions, { workerId: string }>> & { databaseUrl: string };

/** Starts a worker with short waits. A test's own settings go before. */
export function startWorker(settings: Settings): TestWorker {
  const dir = tempFolder();
  const lines: string[] = [];
  const note = (level: string) => (message: string) => void lines.push(`${level}: ${message}`);
  const worker = new IssueWorker({
    workerId: 'test-1',
    command: 'true',
    logDir: join(dir, 'logs'),
    workingDir: dir,
    migrate: false,
    grace: '500ms',
    retryBase: '50ms',
    retryCap: '200ms',
    pollInterval: '1s',
    log: { error: note('error'), warn: note('warn'), info: note('info'), debug: note('debug') },
    environment: { PATH: process.env.PATH },
    ...settings,
  });
  const done = worker.run();
  done.catch(() => {}); // a test that cares awaits it
  const stop = async (times = 1) => {
    for (let n = 0; n < times; n++) worker.stop();
    await done;
  };
  const started = { worker, lines, dir, done, stop };
  workers.push(started);
  return started;
}

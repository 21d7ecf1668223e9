/** The worker of the demo: like any other, in a hurry. */
import { fileURLToPath } from 'node:url';
import { quote } from 'shlex';
import { type Config, loadConfig } from '../config.js';
import { openLog } from '../log.js';
import { IssueWorker } from '../worker/issue-worker.js';
import type { DemoFolder } from './demo-stage.js';

const EXAMPLE = fileURLToPath(new URL('../../scripts/examples/cape-adw', import.meta.url));

/** @param drain leave when nothing is pending */
export function workerSettings({ path, logDir }: DemoFolder, drain: boolean): Config {
  const flags = {
    workerId: 'demo-1',
    concurrency: 3,
    drain,
    command: `${quote(process.execPath)} ${quote(EXAMPLE)}`,
    workingDir: path,
    logDir,
    grace: '2s',
    retryBase: '500ms',
    pollInterval: '1s',
  };
  return loadConfig({ flags, env: {}, dotenv: false }).config;
}

export interface DemoWorker {
  run(): Promise<void>;
  /** At once: what runs is ended, not waited for. */
  stop(): void;
  /** Closes its log, when it has left. */
  close(): Promise<void>;
}

type Environment = Readonly<Record<string, string | undefined>>;

export async function openWorker(databaseUrl: string, config: Config, environment: Environment): Promise<DemoWorker> {
  const { workerId = '', logDir: dir, logLevel: level, logFormat: format, logMaxSize: maxSize } = config;
  // To its file alone: on the terminal it would run into the live view.
  const options = { workerId, dir, level, format, maxSize, maxDays: config.logMaxDays };
  const log = await openLog({ ...options, console: null, colors: false, secrets: [databaseUrl] });
  const worker = IssueWorker.fromConfig(config, { databaseUrl, log, environment });
  return {
    run: () => worker.run(),
    stop() {
      worker.stop();
      worker.stop();
    },
    close: () => log.close(),
  };
}

/** Runs a worker until the signal: who adds an issue in the page wants to see it run. */
export async function workUntil(
  signal: AbortSignal,
  databaseUrl: string,
  folder: DemoFolder,
  environment: Environment,
): Promise<void> {
  const worker = await openWorker(databaseUrl, workerSettings(folder, false), environment);
  signal.addEventListener('abort', worker.stop);
  if (signal.aborted) worker.stop();
  try {
    await worker.run();
  } finally {
    signal.removeEventListener('abort', worker.stop);
    await worker.close();
  }
}

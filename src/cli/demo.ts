/** `demo`: a worker at work, on issues and a Postgres of the demo's own. */
import { fileURLToPath } from 'node:url';
import { quote } from 'shlex';
import { type CapeClient, createClient } from '../client.js';
import { type Config, loadConfig } from '../config.js';
import { EXIT } from '../core/errors.js';
import { migrate } from '../db/migrate.js';
import { openLog } from '../log.js';
import { IssueWorker } from '../worker/issue-worker.js';
import { command, flag } from './command.js';
import { toStderr } from './database.js';
import { DEMO_ISSUES, type Seen } from './demo-issues.js';
import { hintsFor, printResults, resultsOf, verdictOf } from './demo-report.js';
import { type DemoFolder, makeFolder, removeFolder, removeIfEmpty, withPostgres } from './demo-stage.js';
import { type DemoView, liveView, plainView } from './demo-view.js';
import { watch } from './demo-watch.js';
import { Interruption } from './interruption.js';
import { print, printJson } from './output.js';

const EXAMPLE = fileURLToPath(new URL('../../scripts/examples/cape-adw', import.meta.url));
/** It takes about ten seconds. What is not done by then never will be. */
const PATIENCE_MS = 55_000;

export const demo = command<{ readonly json?: boolean }>({
  options: { json: flag('Print the issues as JSON at the end, and everything else to standard error') },
  // `demo | head` must not end it before its Postgres is stopped.
  outlivesReader: true,
  examples: [
    ['demo', 'see a worker run seven issues, on a Postgres of its own'],
    ['demo --json', 'the same, with the outcome as JSON'],
  ],
  async run({ flags }) {
    const folder = await makeFolder();
    const interruption = new Interruption();
    const say = flags.json ? toStderr : print;
    try {
      return await show(folder, flags.json === true, say, interruption.signal);
    } catch (error) {
      if (error !== interruption.signal.reason) {
        if (!(await removeIfEmpty(folder))) toStderr(`what the demo has left is in ${folder.path}`);
        throw error;
      }
      await removeFolder(folder);
      toStderr('cape-worker: interrupted; the Postgres of the demo is stopped and everything removed');
      return interruption.exitCode;
    } finally {
      interruption.close();
    }
  },
});

type Say = (line: string) => void;

/** @throws the signal's reason when it is aborted */
async function show(folder: DemoFolder, json: boolean, say: Say, signal: AbortSignal): Promise<number> {
  // Nothing of the environment is a setting here: a DATABASE_URL must not lead the demo to real work.
  const { environment } = loadConfig({ only: [], dotenv: false });
  const live = !json && environment.TERM !== 'dumb' && hasRoom(process.stdout);
  const begun = performance.now();
  say(`Starting a Postgres for this demo alone, in ${folder.database}`);
  const seen = await withPostgres(folder, environment.PATH ?? '', say, async (url) => {
    signal.throwIfAborted();
    const view = live ? await liveView(process.stdout) : plainView(say);
    return perform(url, { folder, environment, view, say, signal });
  });
  signal.throwIfAborted();
  const results = resultsOf(seen);
  if (json) printJson(results);
  else await printResults(results);
  const seconds = Math.round((performance.now() - begun) / 1000);
  for (const line of ['', ...verdictOf(results)]) say(line);
  say(`It took ${seconds} s. The Postgres is stopped and its data removed.`);
  for (const line of ['', ...hintsFor(folder)]) say(line);
  return results.every(({ deviation }) => deviation === null) ? EXIT.ok : EXIT.refused;
}

/** For a line per issue and some of what is above. A terminal that does not tell its size says 0. */
function hasRoom(out: NodeJS.WriteStream): boolean {
  return out.isTTY === true && out.columns >= 60 && out.rows > DEMO_ISSUES.length + 2;
}

interface Performance {
  readonly folder: DemoFolder;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly view: DemoView;
  readonly say: Say;
  readonly signal: AbortSignal;
}

/** Migrates, queues the issues and runs a worker on them until it has nothing left to do. */
async function perform(databaseUrl: string, parts: Performance): Promise<readonly Seen[]> {
  const { folder, say, signal } = parts;
  const config = workerSettings(folder);
  const { applied } = await migrate({ url: databaseUrl, schema: config.schema });
  const client = createClient({ databaseUrl, applicationName: 'cape-demo' });
  try {
    const ids = await client.addMany(DEMO_ISSUES.map(({ ends, attempts, cancelAfterMs, ...issue }) => issue));
    say(`${applied.length} migrations applied, ${ids.length} issues queued; worker ${config.workerId} starts`);
    say('');
    signal.throwIfAborted();
    return await work(databaseUrl, config, client, ids, parts);
  } finally {
    await client.close();
  }
}

/** A worker like any other, in a hurry. It leaves when nothing is pending. */
function workerSettings({ path, logDir }: DemoFolder): Config {
  const flags = {
    workerId: 'demo-1',
    concurrency: 3,
    drain: true,
    command: `${quote(process.execPath)} ${quote(EXAMPLE)}`,
    workingDir: path,
    logDir,
    grace: '2s',
    retryBase: '500ms',
    pollInterval: '1s',
  };
  return loadConfig({ flags, env: {}, dotenv: false }).config;
}

async function work(
  databaseUrl: string,
  config: Config,
  client: CapeClient,
  ids: readonly number[],
  { environment, view, signal }: Performance,
): Promise<readonly Seen[]> {
  const { workerId = '', logDir: dir, logLevel: level, logFormat: format, logMaxSize: maxSize } = config;
  // To its file alone: on the terminal it would run into the live view.
  const options = { workerId, dir, level, format, maxSize, maxDays: config.logMaxDays };
  const log = await openLog({ ...options, console: null, colors: false, secrets: [databaseUrl] });
  const worker = IssueWorker.fromConfig(config, { databaseUrl, log, environment });
  const stop = () => {
    // Asked twice: what runs is ended, not waited for.
    worker.stop();
    worker.stop();
  };
  const patience = setTimeout(stop, PATIENCE_MS);
  signal.addEventListener('abort', stop);
  if (signal.aborted) stop(); // while the log was opened
  const worked = worker.run();
  try {
    return await watch({ client, ids, view, worked });
  } catch (error) {
    stop();
    throw error;
  } finally {
    view.done();
    clearTimeout(patience);
    signal.removeEventListener('abort', stop);
    await worked.catch(() => {}); // `watch` has told
    await log.close();
  }
}

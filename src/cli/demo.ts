/** `demo`: a worker at work, on issues and a Postgres of the demo's own. */
import { type CapeClient, createClient } from '../client.js';
import { type Config, loadConfig } from '../config.js';
import { EXIT } from '../core/errors.js';
import { migrate } from '../db/migrate.js';
import { command, flag } from './command.js';
import { toStderr } from './database.js';
import { DEMO_ISSUES, type Seen } from './demo-issues.js';
import { type DemoResult, hintsFor, printResults, resultsOf, verdictOf } from './demo-report.js';
import { type DemoFolder, makeFolder, removeFolder, removeIfEmpty, withPostgres } from './demo-stage.js';
import { type DemoView, liveView, plainView } from './demo-view.js';
import { watch } from './demo-watch.js';
import { openDemoPage } from './demo-web.js';
import { openWorker, workerSettings, workUntil } from './demo-worker.js';
import { Interruption } from './interruption.js';
import { print, printJson } from './output.js';

/** It takes about ten seconds. What is not done by then never will be. */
const PATIENCE_MS = 55_000;
const SCHEMA = 'public';

interface DemoFlags {
  readonly json?: boolean;
  readonly web?: boolean;
}

export const demo = command<DemoFlags>({
  options: {
    json: flag('Print the issues as JSON at the end, and everything else to standard error'),
    web: flag('Show it in the browser too, and stay until Ctrl-C'),
  },
  // `demo | head` must not end it before its Postgres is stopped.
  outlivesReader: true,
  examples: [
    ['demo', 'see a worker run seven issues, on a Postgres of its own'],
    ['demo --json', 'the same, with the outcome as JSON'],
    ['demo --web', 'the same in the browser; add issues of your own'],
  ],
  async run({ flags }) {
    const folder = await makeFolder();
    const interruption = new Interruption();
    const say = flags.json ? toStderr : print;
    try {
      return await show(folder, flags, say, interruption.signal);
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

/** @throws the signal's reason when it is aborted before all issues have ended */
async function show(folder: DemoFolder, flags: DemoFlags, say: Say, signal: AbortSignal): Promise<number> {
  // Nothing of the environment is a setting here: a DATABASE_URL must not lead the demo to real work.
  const { environment } = loadConfig({ only: [], dotenv: false });
  const live = !flags.json && environment.TERM !== 'dumb' && hasRoom(process.stdout);
  const begun = performance.now();
  say(`Starting a Postgres for this demo alone, in ${folder.database}`);
  const results = await withPostgres(folder, environment.PATH ?? '', say, async (url) => {
    signal.throwIfAborted();
    const { applied } = await migrate({ url, schema: SCHEMA });
    const parts = { folder, environment, say, signal, migrations: applied.length };
    const seen = (view: DemoView) => perform(url, { ...parts, view });
    const openView = async () => (live ? await liveView(process.stdout) : plainView(say));
    if (!flags.web) return resultsOf(await seen(await openView()));
    const page = await openDemoPage(url, SCHEMA, environment, say);
    try {
      const results = resultsOf(await seen(await openView()));
      signal.throwIfAborted();
      await report(results, flags, say);
      say(`The page stays at ${page.url}, with a worker for what you add there. Ctrl-C ends both.`);
      await workUntil(signal, url, folder, environment);
      return results;
    } finally {
      await page.close();
    }
  });
  const seconds = Math.round((performance.now() - begun) / 1000);
  if (!flags.web) {
    signal.throwIfAborted();
    await report(results, flags, say);
  }
  say(`It took ${seconds} s. The Postgres is stopped and its data removed.`);
  for (const line of ['', ...hintsFor(folder)]) say(line);
  return results.every(({ deviation }) => deviation === null) ? EXIT.ok : EXIT.refused;
}

async function report(results: readonly DemoResult[], { json }: DemoFlags, say: Say): Promise<void> {
  if (json) printJson(results);
  else await printResults(results);
  for (const line of ['', ...verdictOf(results)]) say(line);
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
  /** How many were applied. */
  readonly migrations: number;
}

/** Queues the issues and runs a worker on them until it has nothing left to do. */
async function perform(databaseUrl: string, parts: Performance): Promise<readonly Seen[]> {
  const { folder, say, signal, migrations } = parts;
  const config = workerSettings(folder, true);
  const client = createClient({ databaseUrl, applicationName: 'cape-demo' });
  try {
    const ids = await client.addMany(DEMO_ISSUES.map(({ ends, attempts, cancelAfterMs, ...issue }) => issue));
    say(`${migrations} migrations applied, ${ids.length} issues queued; worker ${config.workerId} starts`);
    say('');
    signal.throwIfAborted();
    return await work(databaseUrl, config, client, ids, parts);
  } finally {
    await client.close();
  }
}

async function work(
  databaseUrl: string,
  config: Config,
  client: CapeClient,
  ids: readonly number[],
  { environment, view, signal }: Performance,
): Promise<readonly Seen[]> {
  const worker = await openWorker(databaseUrl, config, environment);
  const { stop } = worker;
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
    await worker.close();
  }
}

/** `run`: a worker in the foreground, until it is stopped or done. */
import { type LoadedConfig, loadConfig, WORKER_SETTINGS } from '../config.js';
import { CapeError, EXIT, messageOf } from '../core/errors.js';
import { keepOutputSmall } from '../log/service-output.js';
import { openLog, type WorkerLog } from '../log.js';
import { type AliveFile, keepAliveFile } from '../service/alive-file.js';
import { everythingEnds } from '../service/host-end.js';
import { type Notifying, startNotifying } from '../service/notify.js';
import { command } from './command.js';
import { nameOfDatabase, type OpenDatabase, openDatabase } from './database.js';
import { serveOn } from './serve-on.js';
import { groupedSettingOptions, settingFlags } from './setting-options.js';
import { Signals } from './signals.js';

const AFTER_START_MS = 3000;

export const run = command({
  options: groupedSettingOptions(WORKER_SETTINGS),
  outlivesReader: true,
  examples: [
    ['--worker-id alleycat-1', 'run a worker on the embedded Postgres'],
    ['DATABASE_URL=postgres://me:secret@db/work cape-worker --worker-id alleycat-1', 'on a Postgres of your own'],
    ["--worker-id alleycat-1 --command 'claude -p {description}'", 'with any other agent'],
    ['--worker-id alleycat-1 --concurrency 4 --drain', 'four at a time, until nothing is left'],
  ],
  async run({ flags }) {
    const loaded = loadConfig({ flags: settingFlags(flags) });
    const { workerId } = loaded.config;
    if (workerId === undefined) {
      throw new CapeError('usage', '--worker-id: got nothing; a worker needs one, by --worker-id or CAPE_WORKER_ID');
    }
    // Before a log is opened, or a database started, for nothing.
    const { findCommand } = await import('../worker/find-command.js');
    findCommand(loaded.config, loaded.environment);
    const { checkListenUrl } = await import('../worker/hearing.js');
    checkListenUrl(loaded.config);
    const secrets = await secretsIn(loaded);
    const log = await openWorkerLog(loaded, workerId, secrets);
    const manager = startNotifying(loaded.environment, { log, secrets });
    const { logDir: dir, logMaxSize: maxSize } = loaded.config;
    const stopLooking = keepOutputSmall({ dir, workerId, maxSize, say: (line) => log.warn(line) });
    const alive = keepAliveFile(loaded.config.aliveFile, log);
    try {
      return await runWith(loaded, { log, manager, alive });
    } catch (error) {
      // For whoever finds only the log file: the console has a line of its own, which is gone with its terminal.
      log.errorInFile(messageOf(error));
      await manager.close(messageOf(error));
      throw error;
    } finally {
      await manager.close(null);
      await alive.close();
      stopLooking();
      await log.close();
    }
  },
});

async function secretsIn({ config: { databaseUrl, listenUrl, apiTokens = [] } }: LoadedConfig): Promise<string[]> {
  const { secretsOf } = await import('../db/url.js');
  const urls = [databaseUrl, listenUrl].flatMap((url) => (url === undefined ? [] : secretsOf(url)));
  return [...urls, ...apiTokens.map(({ token }) => token)];
}

async function openWorkerLog(loaded: LoadedConfig, workerId: string, secrets: string[]): Promise<WorkerLog> {
  const { logDir: dir, logLevel: level, logFormat: format, logMaxSize: maxSize, logMaxDays: maxDays } = loaded.config;
  const colors = process.stdout.isTTY === true && !loaded.environment.NO_COLOR;
  return openLog({ workerId, dir, level, format, maxSize, maxDays, console: process.stdout, colors, secrets });
}

async function runWith(loaded: LoadedConfig, observers: Observers): Promise<number> {
  const { log, manager } = observers;
  for (const warning of loaded.warnings) log.warn(warning);
  // Before a database is started: one that is left in the middle of it would run on for nobody.
  const signals = new Signals();
  try {
    const opening = manager.during(
      'starting the database',
      openDatabase(loaded, (line) => log.info(line)),
    );
    const database = await Promise.race([opening, signals.patience]);
    if (database === null) {
      log.info('stopped while the database was still being started');
      return EXIT.ok;
    }
    try {
      return await workOn(database, loaded, { ...observers, signals });
    } finally {
      await database.release();
    }
  } finally {
    signals.close();
  }
}

/** Who is told how the worker is. */
interface Observers {
  readonly log: WorkerLog;
  readonly manager: Notifying;
  readonly alive: AliveFile;
}

interface Surroundings extends Observers {
  readonly signals: Signals;
}

async function workOn(
  database: OpenDatabase,
  loaded: LoadedConfig,
  { log, signals, manager, alive }: Surroundings,
): Promise<number> {
  await sayWhere(database, log);
  const { config, environment } = loaded;
  // Before the worker claims anything: an address that is taken is an error of the start.
  const server = config.http === undefined ? null : await serveOn(database, loaded, log);
  const done = new AbortController();
  // Past the start: what V8 compiles under other flags it does not take from what was compiled before.
  const later = setTimeout(async () => (await import('./collect-once.js')).collectOnce(), AFTER_START_MS).unref();
  try {
    const { IssueWorker } = await import('../worker/issue-worker.js');
    const worker = IssueWorker.fromConfig(config, {
      databaseUrl: database.url,
      log,
      environment,
      observer: server?.observer,
      onState(state) {
        manager.state(state);
        alive.state(state);
      },
    });
    signals.attach(() => worker.stop());
    // A service is told to stop by SIGTERM, be it alone or with the whole machine.
    const ending = everythingEnds(environment);
    void signals.first.then(async (name) => {
      const why = name === 'SIGTERM' ? await ending(done.signal) : null;
      if (why !== null) worker.endNow(why);
    });
    return await Promise.race([worker.run().then(() => EXIT.ok), signals.third]);
  } finally {
    clearTimeout(later);
    done.abort();
    await server?.close();
  }
}

/** Said before it is reached: a refused login or a long outage is about this one. */
async function sayWhere(database: OpenDatabase, log: WorkerLog): Promise<void> {
  log.info(`database: ${await nameOfDatabase(database)}`);
  if (database.note !== null) log.info(database.note);
}

/** The part of `check` that looks at the database. A running embedded one is attached to; none is started. */
import type { Config, LoadedConfig } from '../config.js';
import { CapeError } from '../core/errors.js';
import { connect, type Database, type Queryable, serverVersion } from '../db/connect.js';
import { type Hearing, type ListenOptions, listen } from '../db/listen.js';
import { migrationStatus } from '../db/migrate.js';
import { type Oddities, oddities } from '../queue/read.js';
import { rightsOf } from '../queue/rights.js';
import { embeddedDataDir, nameOfDatabase, nameOfEmbedded, type OpenDatabase, openDatabase } from './database.js';
import { type Finding, finding } from './finding.js';
import { quoted } from './values.js';

const APPLICATION_NAME = 'cape-worker check';

export async function checkDatabase(loaded: LoadedConfig): Promise<Finding[]> {
  try {
    const { databaseUrl } = loaded.config;
    return databaseUrl === undefined
      ? await checkEmbedded(loaded)
      : await lookAt({ url: databaseUrl, dataDir: null }, loaded);
  } catch (error) {
    // Before there is anything to look at: a malformed URL, no home folder for the embedded one.
    if (!(error instanceof CapeError)) throw error;
    return [{ what: 'database', ok: false, detail: error.message }];
  }
}

async function checkEmbedded(loaded: LoadedConfig): Promise<Finding[]> {
  const { embeddedStatus } = await import('../db/embedded/index.js');
  const { state, dataDir } = await embeddedStatus({ dataDir: await embeddedDataDir(loaded) });
  if (state !== 'running') {
    const detail = `${nameOfEmbedded(dataDir)}, ${state}; a worker starts it`;
    return [{ what: 'database', ok: null, detail }];
  }
  // As an attempt would: attaches, and refuses to start one that has stopped meanwhile.
  const asAttempt = { ...loaded, environment: { ...loaded.environment, CAPE_ISSUE_ID: 'check' } };
  const database = await openDatabase(asAttempt, () => {});
  try {
    return await lookAt(database, loaded);
  } finally {
    await database.release();
  }
}

type Place = Pick<OpenDatabase, 'url' | 'dataDir'>;

async function lookAt(place: Place, loaded: LoadedConfig): Promise<Finding[]> {
  const { url } = place;
  const db = connect({ url, schema: loaded.config.schema, applicationName: APPLICATION_NAME });
  try {
    const reached = await finding('database', () => version(db, place));
    // Without a connection every further line would say the same.
    if (!reached.ok) return [reached];
    const writes = await writesFindings(db);
    const schema = await finding('schema', () => checkSchema(db, loaded.config.migrate));
    // Without tables there is nothing yet to have rights on.
    const rights = schema.ok === null ? [] : [await finding('rights', () => checkRights(db))];
    const heard = await finding('LISTEN', () => checkListen(url, loaded.config, db.pooled));
    return [reached, ...writes, schema, ...rights, heard, ...(schema.ok ? await queueFindings(db) : [])];
  } finally {
    await db.close();
  }
}

async function version(db: Database, place: Place): Promise<string> {
  const number = await serverVersion(db);
  const pooler = db.pooled ? ', through a pooler' : '';
  return `Postgres ${Math.floor(number / 10_000)}.${number % 10_000}, ${await nameOfDatabase(place)}${pooler}`;
}

/** Nothing where it may be written to. A worker can start on a read-only database, but waits there for ever. */
async function writesFindings(db: Queryable): Promise<Finding[]> {
  const found = await finding('writes', async () => {
    const [row] = await db.query<{ standby: boolean; refused: boolean }>(
      `select pg_is_in_recovery() as standby, current_setting('transaction_read_only') = 'on' as refused`,
    );
    if (!row?.refused) return 'accepted';
    const why = row.standby ? 'it is a standby' : 'default_transaction_read_only is on';
    return { ok: false, detail: `the database is read-only (${why}); a worker waits until it is not` };
  });
  return found.ok ? [] : [found];
}

async function checkSchema(db: Database, migrates: boolean): Promise<Omit<Finding, 'what'>> {
  const { version, tooNew, changed, pending } = await migrationStatus(db);
  const at = `"${db.schema}" is at migration ${version}`;
  if (tooNew !== null) return { ok: false, detail: `${at}; it needs cape-worker ${tooNew} or newer` };
  if (changed.length > 0) return { ok: false, detail: `${at}; files changed since: ${changed.join(', ')}` };
  if (pending.length === 0) return { ok: true, detail: at };
  const missing = `${at}; not applied: ${pending.join(', ')}`;
  if (migrates) return { ok: null, detail: `${missing}; a worker applies them at its start` };
  return { ok: false, detail: `${missing}; run: cape-worker migrate` };
}

/** Nothing is said of more than is needed: the owner of the tables may run workers too. */
async function checkRights(db: Database): Promise<string> {
  const { role, lacks } = await rightsOf(db, null, 'worker');
  const name = quoted(role);
  if (lacks.length === 0) return `role ${name} has what a worker needs`;
  const grant = 'grant it as the owner: cape-worker migrate --grant <role>';
  throw new CapeError('database', `role ${name} lacks ${lacks.join(', ')}; ${grant}`);
}

/** The listener tries for ever; a check does not. */
const LISTEN_MS = 5000;

async function checkListen(url: string, config: Config, pooled: boolean): Promise<string | Omit<Finding, 'what'>> {
  const { checkListenUrl, whereToListen, whyDeaf } = await import('../worker/hearing.js');
  checkListenUrl(config);
  const past = config.listenUrl !== undefined;
  const options = { ...whereToListen(config, url), applicationName: APPLICATION_NAME };
  const hearing = await firstHearing(options);
  if (hearing.hears) {
    const way = past ? ' through CAPE_LISTEN_URL' : pooled ? ' through the pooler' : '';
    return `notifications are heard${way}`;
  }
  const why = whyDeaf(hearing, past) ?? `notifications are not heard (${hearing.why})`;
  // A worker could run; but a URL that was given and serves for nothing is an error.
  return { ok: past ? false : null, detail: `${why}; a worker polls, so issues start later` };
}

function firstHearing(options: ListenOptions): Promise<Hearing> {
  return new Promise((resolve) => {
    const done = (hearing: Hearing) => {
      clearTimeout(timer);
      void listener.close().then(() => resolve(hearing));
    };
    const timer = setTimeout(() => done({ hears: false, why: `nothing within ${LISTEN_MS / 1000} s` }), LISTEN_MS);
    const listener = listen(options, 'cape_issues', { notify() {}, listening() {}, changed: done });
  });
}

const ODD: Readonly<Record<keyof Oddities, string>> = {
  other_status: 'with a status that is none of ours; no worker touches them',
  started_unleased: 'started but held by nobody; cape-worker issues cancel, then retry',
  parked_for_good: "parked until 'infinity'; cape-worker issues retry runs one now",
  for_unseen: 'directed to workers that have never been seen; cape-worker status names them',
  out_of_attempts: 'whose attempt number is at its end; set it to 0 to have them run',
  leased_by_nobody: 'marked as leased by hand; set leased to false to have them run',
  held_by_others: 'started by a program that knows no leases; stop workers of the old system',
};

/** Rows that wait for nobody, and workers that can't be fenced. */
async function queueFindings(db: Queryable): Promise<Finding[]> {
  const found: Oddities = await oddities(db);
  const odd = (Object.keys(ODD) as (keyof Oddities)[]).filter((name) => found[name] > 0);
  if (odd.length === 0) return [{ what: 'queue', ok: true, detail: 'no row is in an odd state' }];
  return odd.map((name) => ({ what: 'queue', ok: null, detail: `${found[name]} issues ${ODD[name]}` }));
}

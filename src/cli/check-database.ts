/** The part of `check` that looks at the database. A running embedded one is attached to; none is started. */
import type { LoadedConfig } from '../config.js';
import { messageOf } from '../core/errors.js';
import { connect, type Queryable, redactUrl, serverVersion } from '../db/connect.js';
import { listen } from '../db/listen.js';
import { migrationStatus } from '../db/migrate.js';
import { oddities } from '../queue/read.js';
import { embeddedDataDir, openDatabase } from './database.js';
import { type Finding, finding } from './finding.js';

export async function checkDatabase(loaded: LoadedConfig): Promise<Finding[]> {
  if (loaded.config.databaseUrl !== undefined) return lookAt(loaded.config.databaseUrl, loaded);
  const { embeddedStatus } = await import('../db/embedded/index.js');
  try {
    const { state, dataDir } = await embeddedStatus({ dataDir: await embeddedDataDir(loaded) });
    if (state !== 'running') {
      const detail = `the embedded Postgres in ${dataDir} is ${state}; a worker starts it`;
      return [{ what: 'database', ok: null, detail }];
    }
    // As an attempt would: attaches, and refuses to start one that has stopped meanwhile.
    const attached = { ...loaded, environment: { ...loaded.environment, CAPE_ISSUE_ID: 'check' } };
    const database = await openDatabase(attached, () => {});
    try {
      return await lookAt(database.url, loaded);
    } finally {
      await database.release();
    }
  } catch (error) {
    return [{ what: 'database', ok: false, detail: messageOf(error) }];
  }
}

async function lookAt(url: string, { config: { schema, migrate } }: LoadedConfig): Promise<Finding[]> {
  const applicationName = 'cape-worker check';
  const found: Finding[] = [];
  let db: ReturnType<typeof connect> | undefined;
  try {
    const connected = connect({ url, schema, applicationName });
    db = connected;
    found.push(await finding('database', () => version(connected, url)));
    // Without a connection every further line would say the same.
    if (found[0]?.ok === false) return found;
    found.push(await schemaFinding(connected, schema, migrate));
    found.push(await listenFinding(url, applicationName));
    if (found[1]?.ok === true) found.push(...(await queueFindings(connected)));
    return found;
  } catch (error) {
    return [...found, { what: 'database', ok: false, detail: messageOf(error) }];
  } finally {
    await db?.close();
  }
}

async function version(db: Queryable, url: string): Promise<string> {
  const number = await serverVersion(db);
  return `Postgres ${Math.floor(number / 10_000)}.${number % 10_000} at ${redactUrl(url)}`;
}

async function schemaFinding(db: Queryable, schema: string, migrates: boolean): Promise<Finding> {
  const what = 'schema';
  try {
    const status = await migrationStatus(db);
    const at = `"${schema}" is at migration ${status.version}`;
    if (status.tooNew !== null)
      return { what, ok: false, detail: `${at}; it needs cape-worker ${status.tooNew} or newer` };
    if (status.changed.length > 0)
      return { what, ok: false, detail: `${at}; changed files: ${status.changed.join(', ')}` };
    if (status.pending.length === 0) return { what, ok: true, detail: at };
    const missing = `${at}; not applied: ${status.pending.join(', ')}`;
    if (migrates) return { what, ok: null, detail: `${missing}; a worker applies them at its start` };
    return { what, ok: false, detail: `${missing}; run: cape-worker migrate` };
  } catch (error) {
    return { what, ok: false, detail: messageOf(error) };
  }
}

const LISTEN_MS = 5000;

async function listenFinding(url: string, applicationName: string): Promise<Finding> {
  let listening: () => void = () => {};
  const proven = new Promise<void>((resolve) => {
    listening = resolve;
  });
  const listener = listen({ url, applicationName }, 'cape_issues', { notify() {}, listening });
  const timer = setTimeout(listening, LISTEN_MS);
  await proven;
  clearTimeout(timer);
  const { hears } = listener;
  await listener.close();
  const detail = hears
    ? 'notifications are heard'
    : 'nothing is heard (a pooler in transaction mode?); a worker then polls, so issues start later';
  return { what: 'LISTEN', ok: hears ? true : null, detail };
}

/** Rows that wait for nobody, and workers that can't be fenced. */
async function queueFindings(db: Queryable): Promise<Finding[]> {
  try {
    const odd = await oddities(db);
    const findings: [number, string][] = [
      [odd.other_status, 'issues have a status that is none of ours; no worker touches them'],
      [odd.started_unleased, 'issues are started but held by nobody; cape-worker issues cancel, then retry'],
      [odd.held_by_others, 'issues were started by a program that knows no leases: stop a worker of the old system'],
    ];
    const said = findings.filter(([count]) => count > 0);
    if (said.length === 0) return [{ what: 'queue', ok: true, detail: 'no row is in an odd state' }];
    return said.map(([count, text]) => ({ what: 'queue', ok: null, detail: `${count} ${text}` }));
  } catch (error) {
    return [{ what: 'queue', ok: false, detail: messageOf(error) }];
  }
}

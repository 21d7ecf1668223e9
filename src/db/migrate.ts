/**
 * Brings a database to what this program needs. Safe to run by several programs at once, and by an old one beside a
 * new one: a database that is ahead of us is refused only where its newest migrations say that we are too old for it.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { CapeError } from '../core/errors.js';
import { type Database, inTransaction, type Queryable, quoteName, serversOf, serverVersion } from './connect.js';
import { ConnectionError, databaseError, failureOf } from './failure.js';
import { compareVersions, MIGRATIONS_DIR, type Migration, programVersion, readMigrations } from './migration-files.js';
import { tableExists } from './schema.js';
import type { Session } from './session.js';

export type { Migration } from './migration-files.js';

export interface MigrateOptions {
  readonly url: string;
  readonly schema: string;
  /** Folder of the `NNN_name.sql`, default the package's own. */
  readonly dir?: string;
  /** Told what is applied and what is waited for, a line each. */
  readonly log?: (line: string) => void;
  /** Milliseconds to wait while another program migrates, default 60,000. */
  readonly waitMs?: number;
  /** Ends it at once: a migration under way is rolled back. */
  readonly signal?: AbortSignal | undefined;
  /** Called where something is to be applied, before it is: that may take minutes. */
  readonly onPending?: (() => void) | undefined;
}

export interface MigrateResult {
  /** Names of those applied now. */
  readonly applied: string[];
  /** The database's version afterwards. */
  readonly version: number;
}

export interface AppliedMigration {
  readonly version: number;
  readonly name: string;
  readonly checksum: string;
  readonly oldest_program: string;
  readonly applied_at: Date;
}

export interface MigrationStatus {
  readonly applied: readonly AppliedMigration[];
  /** Names of those still to be applied. */
  readonly pending: readonly string[];
  /** Names of those whose file is no longer what was applied. */
  readonly changed: readonly string[];
  /** The newest applied, 0 = none. */
  readonly version: number;
  /** The newest that this program knows. */
  readonly newest: number;
  /** Set where the database needs a newer program than this one: the oldest version that will do. */
  readonly tooNew: string | null;
}

/** A migration may rewrite a large table. */
const DEADLINE_MS = 600_000;
/** For a lock on a table: whoever waits for one makes all later queries of that table wait behind it. */
const LOCK_TIMEOUT = '10s';
const WAIT_MS = 60_000;
const POLL_MS = 100;

/**
 * Applies what is missing, each file once and in a transaction of its own, and creates the schema where there is none.
 * Needs no rights beyond reading where nothing is missing.
 * @throws CapeError('database') that names the migration and what stands in its way; ('config') for a bad URL or folder
 */
export async function migrate(options: MigrateOptions): Promise<MigrateResult> {
  const { url, schema, dir = MIGRATIONS_DIR, signal } = options;
  const migrations = readMigrations(dir);
  const connection = { url, schema, applicationName: 'cape-worker migrate', deadlineMs: DEADLINE_MS };
  const servers = serversOf(connection);
  let session: Session | undefined;
  const stop = () => session?.destroy(new ConnectionError('CLOSED', 'the migration was given up'));
  try {
    session = await servers.open(signal);
    signal?.addEventListener('abort', stop);
    if (signal?.aborted) stop();
    await serverVersion(session);
    const found = await explained(session, `schema "${schema}"`, statusOf(session, schema, migrations));
    const status = check(found, dir);
    if (status.pending.length === 0) return { applied: [], version: status.version };
    if (session.pooled) throw new CapeError('config', NOT_POOLED);
    options.onPending?.();
    return await applyPending(session, migrations, { ...options, dir });
  } catch (error) {
    throw error instanceof CapeError ? error : databaseError(url, error);
  } finally {
    signal?.removeEventListener('abort', stop);
    // The lock goes with the session.
    await session?.close();
  }
}

async function applyPending(
  session: Session,
  migrations: readonly Migration[],
  { schema, dir, log = () => {}, waitMs = WAIT_MS }: MigrateOptions & { dir: string },
): Promise<MigrateResult> {
  await lock(session, schema, waitMs, log);
  await prepare(session, schema);
  // Read again: whoever held the lock before us may have applied them.
  const status = check(await statusOf(session, schema, migrations), dir);
  const pending = migrations.filter((migration) => status.pending.includes(migration.name));
  for (const migration of pending) {
    await apply(session, schema, migration);
    log(`migration ${migration.name} applied`);
  }
  return { applied: [...status.pending], version: Math.max(status.version, pending.at(-1)?.version ?? 0) };
}

/** A session lock taken through a pooler stays with the server's session, and so with strangers. */
const NOT_POOLED =
  "migrations can't be applied through a pooler; run cape-worker migrate with a DATABASE_URL that leads to the server itself";

/**
 * What is applied and what is not. Needs only the right to read `cape_migrations`.
 * @throws where this role may not look into the schema
 */
export async function migrationStatus(db: Database, dir: string = MIGRATIONS_DIR): Promise<MigrationStatus> {
  return statusOf(db, db.schema, readMigrations(dir));
}

async function statusOf(db: Queryable, schema: string, migrations: readonly Migration[]): Promise<MigrationStatus> {
  const applied = await readApplied(db, schema);
  const checksums = new Map(applied.map((row) => [row.version, row.checksum]));
  const newest = migrations.at(-1)?.version ?? 0;
  const needs = applied.filter((row) => row.version > newest).map((row) => row.oldest_program);
  const oldest = needs.sort(compareVersions).at(-1);
  return {
    applied,
    pending: migrations.filter(({ version }) => !checksums.has(version)).map(({ name }) => name),
    changed: migrations
      .filter(({ version, checksum }) => (checksums.get(version) ?? checksum) !== checksum)
      .map(({ name }) => name),
    version: applied.at(-1)?.version ?? 0,
    newest,
    tooNew: oldest !== undefined && compareVersions(oldest, programVersion()) > 0 ? oldest : null,
  };
}

async function readApplied(db: Queryable, schema: string): Promise<AppliedMigration[]> {
  if (!(await tableExists(db, schema, 'cape_migrations'))) return [];
  return db.query('select version, name, checksum, oldest_program, applied_at from cape_migrations order by version');
}

function check(status: MigrationStatus, dir: string): MigrationStatus {
  if (status.changed.length > 0)
    throw new CapeError(
      'database',
      `migration ${status.changed.join(', ')} was changed after it had been applied; put the file in ${dir} back and add a new one`,
    );
  if (status.tooNew !== null)
    throw new CapeError(
      'database',
      `the database is at migration ${status.version}, which needs cape-worker ${status.tooNew} or newer; this is ${programVersion()}`,
    );
  return status;
}

/** One program at a time. Polled, since a session that waits inside Postgres would hold a snapshot all the while. */
async function lock(session: Session, schema: string, waitMs: number, log: (line: string) => void): Promise<void> {
  const end = performance.now() + waitMs;
  for (let told = false; ; told = true) {
    const [row] = await session.query<{ locked: boolean }>(
      `select pg_try_advisory_lock(hashtext('cape_migrations'), hashtext($1)) as locked`,
      [schema],
    );
    if (row?.locked) return;
    if (!told) log(`waiting for another program that migrates schema "${schema}"`);
    if (performance.now() > end)
      throw new CapeError(
        'database',
        `another program has been migrating schema "${schema}" for ${waitMs / 1000} s; see pg_stat_activity for "cape-worker migrate"`,
      );
    await pause(POLL_MS);
  }
}

/** The schema and our own table. Looked up first: `if not exists` asks for the right to create even where it exists. */
async function prepare(session: Session, schema: string): Promise<void> {
  const what = `schema "${schema}"`;
  const [found] = await session.query<{ namespace: boolean; migrations: boolean }>(
    `select exists (select from pg_namespace where nspname = $1) as namespace,
       to_regclass('cape_migrations') is not null as migrations`,
    [schema],
  );
  if (!found?.namespace) await explained(session, what, session.script(`create schema ${quoteName(schema)}`));
  if (!found?.migrations) await explained(session, what, session.script(MIGRATIONS_TABLE));
}

const MIGRATIONS_TABLE = `create table cape_migrations (
  version int primary key,
  name text not null,
  checksum text not null,
  oldest_program text not null,
  applied_at timestamptz not null default now()
)`;

async function apply(session: Session, schema: string, migration: Migration): Promise<void> {
  const what = `migration ${migration.name}`;
  if (!migration.inTransaction) {
    await explained(session, what, session.script(migration.sql));
    await record(session, migration);
    return;
  }
  const work = inTransaction(session, async (tx) => {
    await tx.script(
      `set local search_path to ${quoteName(schema)}, pg_temp; set local lock_timeout to '${LOCK_TIMEOUT}'`,
    );
    await tx.script(migration.sql);
    await record(tx, migration);
  });
  await explained(session, what, work);
}

async function record(db: Queryable, migration: Migration): Promise<void> {
  const { version, name, checksum, oldestProgram } = migration;
  await db.query('insert into cape_migrations (version, name, checksum, oldest_program) values ($1, $2, $3, $4)', [
    version,
    name,
    checksum,
    oldestProgram,
  ]);
}

/** Says of what failed which step it was and what to do about it. */
async function explained<T>(session: Session, what: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    const { kind, code, message } = failureOf(error);
    // Cut off: that the database is gone is the thing to say, and `migrate` says it.
    if (kind === 'unreachable') throw error;
    // Where a role may not look into a schema, Postgres takes it for none.
    if (kind === 'permission' || code === '3F000') {
      const [role] = await session.query<{ name: string }>('select current_user as name');
      const advice = `run "cape-worker migrate" as a role that owns the schema and its tables`;
      throw new CapeError('database', `${what}: role "${role?.name}" may not: ${message}; ${advice}`, { cause: error });
    }
    const advice = code === '55P03' ? `; another session holds a table it needs (see pg_locks), try again` : '';
    throw new CapeError('database', `${what}: ${message}${advice}`, { cause: error });
  }
}

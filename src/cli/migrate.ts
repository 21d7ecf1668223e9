/** `migrate`: brings the schema up to date, and grants roles their part in it; `--status` only looks. */
import { CapeError, EXIT } from '../core/errors.js';
import { oneLine } from '../core/text.js';
import type { MigrateResult, MigrationStatus } from '../db/migrate.js';
import { command, flag, JSON_OPTION, values } from './command.js';
import { DATABASE_OPTIONS, databaseConfig, type OpenDatabase, openDatabase, toStderr } from './database.js';
import { type Grant, type Granted, grantAll, grantOf, refuseUnknownRoles } from './grant.js';
import { print, printJson, timeText } from './output.js';
import { quoted } from './values.js';

interface MigrateFlags {
  readonly status?: boolean;
  readonly grant?: readonly string[];
  readonly json?: boolean;
}

export const migrate = command<MigrateFlags>({
  options: {
    status: flag('Only show what is applied and what is not'),
    grant: values('Give this database role what a worker needs, or ROLE:producer, ROLE:reader; may be repeated'),
    ...JSON_OPTION,
    ...DATABASE_OPTIONS,
  },
  examples: [
    ['migrate', 'create the tables, adopt an existing one, or bring them up to date'],
    ['migrate --status', 'show what is applied'],
    ['migrate --grant cape_worker', 'and let this role work off the queue, and nothing more'],
  ],
  async run({ flags }) {
    const grants = (flags.grant ?? []).map(grantOf);
    if (flags.status && grants.length > 0)
      throw new CapeError('usage', '--grant: got it together with --status, which changes nothing; choose one');
    const database = await openDatabase(await databaseConfig(flags), toStderr);
    try {
      if (flags.status) await showStatus(database, flags.json === true);
      else await apply(database, grants, flags.json === true);
    } finally {
      await database.release();
    }
    return EXIT.ok;
  },
});

async function apply(database: OpenDatabase, grants: readonly Grant[], json: boolean): Promise<void> {
  const migrations = await import('../db/migrate.js');
  if (grants.length > 0) await refuseUnknownRoles(database, grants);
  const done = await migrations.migrate({ url: database.url, schema: database.schema, log: toStderr });
  const granted = grants.length === 0 ? [] : await grantAll(database, grants);
  if (json) printJson({ ...done, granted });
  else sayDone(done, granted);
}

function sayDone({ applied, version }: MigrateResult, granted: readonly Granted[]): void {
  print(applied.length === 0 ? `up to date, at migration ${version}` : `migrated to ${version}`);
  for (const { role, kind } of granted) print(`role ${quoted(role)} has what a ${kind} needs`);
}

async function showStatus({ url, schema }: OpenDatabase, json: boolean): Promise<void> {
  const { connect } = await import('../db/connect.js');
  const { explainFailure } = await import('../db/explain.js');
  const { migrationStatus } = await import('../db/migrate.js');
  const db = connect({ url, schema, applicationName: 'cape-cli' });
  try {
    const status = await migrationStatus(db);
    if (json) printJson(status);
    else printStatus(status);
  } catch (error) {
    throw explainFailure(error, url, schema);
  } finally {
    await db.close();
  }
}

function printStatus(status: MigrationStatus): void {
  for (const { name, applied_at } of status.applied) print(`applied  ${timeText(applied_at)}  ${oneLine(name)}`);
  for (const name of status.pending) print(`pending  ${oneLine(name)}`);
  for (const name of status.changed) print(`changed  ${oneLine(name)}: the file is not what was applied`);
  if (status.tooNew !== null) print(`this database needs cape-worker ${oneLine(status.tooNew)} or newer`);
}

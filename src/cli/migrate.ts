/** `migrate`: brings the schema up to date; `--status` only looks. */
import { EXIT } from '../core/errors.js';
import { oneLine } from '../core/text.js';
import type { MigrationStatus } from '../db/migrate.js';
import { command, flag, JSON_OPTION } from './command.js';
import { DATABASE_OPTIONS, databaseConfig, type OpenDatabase, openDatabase, toStderr } from './database.js';
import { print, printJson, timeText } from './output.js';

interface MigrateFlags {
  readonly status?: boolean;
  readonly json?: boolean;
}

export const migrate = command<MigrateFlags>({
  options: { status: flag('Only show what is applied and what is not'), ...JSON_OPTION, ...DATABASE_OPTIONS },
  examples: [
    ['migrate', 'create the tables, adopt an existing one, or bring them up to date'],
    ['migrate --status', 'show what is applied'],
  ],
  async run({ flags }) {
    const database = await openDatabase(databaseConfig(flags), toStderr);
    try {
      if (flags.status) await showStatus(database, flags.json === true);
      else await apply(database, flags.json === true);
    } finally {
      await database.release();
    }
    return EXIT.ok;
  },
});

async function apply({ url, schema }: OpenDatabase, json: boolean): Promise<void> {
  const migrations = await import('../db/migrate.js');
  const { applied, version } = await migrations.migrate({ url, schema, log: toStderr });
  if (json) printJson({ applied, version });
  else print(applied.length === 0 ? `up to date, at migration ${version}` : `migrated to ${version}`);
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
  for (const name of status.pending) print(`pending  ${name}`);
  for (const name of status.changed) print(`changed  ${name}: the file is not what was applied`);
  if (status.tooNew !== null) print(`this database needs cape-worker ${status.tooNew} or newer`);
}

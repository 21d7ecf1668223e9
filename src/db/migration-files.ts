/** The migrations that this program brings along, and its own version. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CapeError, messageOf } from '../core/errors.js';

export interface Migration {
  readonly version: number;
  /** The file's name without `.sql`: `001_issues`. */
  readonly name: string;
  /** SHA-256 of the text, line ends made alike: git may have changed those. */
  readonly checksum: string;
  /** The oldest version of this program that works on a database with this migration. */
  readonly oldestProgram: string;
  /**
   * False where the header says `-- no-transaction`. Such a file holds one statement (Postgres runs several sent
   * together as one transaction) and can be run twice: it is recorded in a second step.
   */
  readonly inTransaction: boolean;
  readonly sql: string;
}

/** Two folders up both from `src/db` and from the built `dist/db` or `dist/cli`. */
const PACKAGE = new URL('../../', import.meta.url);

/** Where the package keeps its migrations. */
export const MIGRATIONS_DIR = fileURLToPath(new URL('migrations/', PACKAGE));

/** This program's version, `x.y.z`. */
export function programVersion(): string {
  const manifest = JSON.parse(readFileSync(new URL('package.json', PACKAGE), 'utf8')) as { version: string };
  return manifest.version;
}

/**
 * The migrations of a folder in order: every `NNN_name.sql`.
 * @throws CapeError('config') for a folder without any, or a file whose name or header does not fit
 */
export function readMigrations(dir: string): Migration[] {
  const files = filesOf(dir);
  if (files.length === 0) throw new CapeError('config', `no migrations (NNN_name.sql) in ${dir}`);
  const migrations = files.map((file) => readMigration(dir, file)).sort((a, b) => a.version - b.version);
  migrations.forEach((migration, i) => {
    const before = migrations[i - 1];
    if (before?.version === migration.version)
      throw new CapeError('config', `migrations ${before.name} and ${migration.name} have the same number`);
  });
  return migrations;
}

function filesOf(dir: string): string[] {
  try {
    return readdirSync(dir).filter((file) => file.endsWith('.sql'));
  } catch (error) {
    throw new CapeError('config', `migrations folder ${dir} can't be read: ${messageOf(error)}`, { cause: error });
  }
}

function readMigration(dir: string, file: string): Migration {
  const [, number] = /^(\d+)_[\w-]+\.sql$/.exec(file) ?? [];
  if (number === undefined) throw new CapeError('config', `migration ${file}: the name must be like 001_issues.sql`);
  const sql = readFileSync(join(dir, file), 'utf8').replaceAll('\r\n', '\n');
  const header = headerOf(sql);
  const oldest = /^-- oldest-program: *(\S+) *$/m.exec(header)?.[1];
  if (oldest === undefined || !/^\d+\.\d+\.\d+$/.test(oldest))
    throw new CapeError('config', `migration ${file}: its header must say "-- oldest-program: x.y.z"`);
  return {
    version: Number(number),
    name: file.slice(0, -'.sql'.length),
    checksum: createHash('sha256').update(sql).digest('hex'),
    oldestProgram: oldest,
    inTransaction: !/^-- no-transaction *$/m.test(header),
    sql,
  };
}

/** The comment lines at the top. */
function headerOf(sql: string): string {
  return /^(?:--.*\n)*/.exec(sql)?.[0] ?? '';
}

/** Compares two `x.y.z`: negative, zero or positive, as `sort` wants it. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [a, b].map((version) => version.split('.').map((part) => Number.parseInt(part, 10)));
  for (const i of [0, 1, 2]) {
    const difference = (left?.[i] ?? 0) - (right?.[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** Tables that seem not to be there, since this role may not look into their schema. */
import { type Database, type Queryable, quoteName } from './connect.js';
import { failureOf } from './failure.js';

/**
 * Asked by its full name: the search path passes over a schema without USAGE as if nothing were in it, and a worker
 * would go on to make tables that exist.
 * @throws of kind `permission` where this role may not look into the schema
 */
export async function tableExists(db: Queryable, schema: string, table: string): Promise<boolean> {
  const [row] = await db.query<{ exists: boolean }>('select to_regclass($1::text) is not null as exists', [
    `${quoteName(schema)}.${quoteName(table)}`,
  ]);
  return row?.exists === true;
}

/** Why a statement found no table: the missing right where it is one, else the error itself. */
export async function whyMissing(db: Database, error: unknown): Promise<unknown> {
  if (failureOf(error).kind !== 'schema') return error;
  try {
    await tableExists(db, db.schema, 'cape_issues');
    return error;
  } catch (asked) {
    // Anything else, such as a database that is gone by now, explains the first error less well than itself.
    return failureOf(asked).kind === 'permission' ? asked : error;
  }
}

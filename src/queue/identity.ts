/** The name of this queue, kept by dump and restore. */
import type { Queryable } from '../db/connect.js';

/** A UUID made by the migrations: the first part of every idempotency key. */
export async function databaseId(db: Queryable): Promise<string> {
  const [row] = await db.query<{ id: string }>('select id from cape_identity');
  return row?.id ?? 'unnamed';
}

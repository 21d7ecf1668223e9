/** What the database says of a service's worker: it is reached as the worker reaches it, by the env file. */
import { createClient, type WorkerRow } from '../client.js';
import { CapeError, messageOf } from '../core/errors.js';
import { connect, serverVersion } from '../db/connect.js';
import { explainFailure } from '../db/explain.js';

const APPLICATION_NAME = 'cape-worker service';

export interface DatabasePlace {
  readonly databaseUrl: string;
  readonly schema: string;
}

/** Why the database does not answer, in one line without its password; null where it does. */
export async function databaseProblem({ databaseUrl: url, schema }: DatabasePlace): Promise<string | null> {
  try {
    const db = connect({ url, schema, applicationName: APPLICATION_NAME });
    try {
      await serverVersion(db);
      return null;
    } finally {
      await db.close();
    }
  } catch (error) {
    return messageOf(reason(error, { databaseUrl: url, schema }));
  }
}

/** Looks at the rows of workers until it is closed. */
export interface RowReader {
  /** The row of that worker; a text says why it can't be seen: none is there, or the database does not answer. */
  read(workerId: string): Promise<WorkerRow | string>;
  close(): Promise<void>;
}

/** @throws CapeError `config` for a malformed URL */
export function readRows(place: DatabasePlace): RowReader {
  const client = createClient({ ...place, applicationName: APPLICATION_NAME });
  return {
    async read(workerId) {
      try {
        const rows = await client.workers();
        return rows.find(({ id }) => id === workerId) ?? 'the database has no row of that worker yet';
      } catch (error) {
        return messageOf(reason(error, place));
      }
    },
    close: () => client.close(),
  };
}

/** @throws what is a bug of ours */
function reason(error: unknown, { databaseUrl, schema }: DatabasePlace): unknown {
  const explained = explainFailure(error, databaseUrl, schema);
  if (explained instanceof CapeError) return explained;
  throw explained;
}

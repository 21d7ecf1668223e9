/** What the routes ask of the database: a client, and statements that no other surface has. */
import { type CapeClient, createClient } from '../client.js';
import { connect, type Database } from '../db/connect.js';
import { explainFailure } from '../db/explain.js';
import { whyMissing } from '../db/schema.js';

export interface Store {
  readonly client: CapeClient;
  /** Runs statements of `queue`. @throws CapeError as the client does */
  ask<T>(work: (db: Database) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

/** Lists of a busy page, and one that waits for somebody's lock, must not stand in each other's way. */
const CONNECTIONS = 3;

export function openStore({ databaseUrl, schema }: { readonly databaseUrl: string; readonly schema: string }): Store {
  const shared = { schema, applicationName: 'cape-http', connections: CONNECTIONS };
  const client = createClient({ databaseUrl, ...shared });
  const db = connect({ url: databaseUrl, ...shared });
  return {
    client,
    ask: (work) =>
      work(db).catch(async (error) => {
        throw explainFailure(await whyMissing(db, error), databaseUrl, schema);
      }),
    close: async () => {
      await Promise.all([client.close(), db.close()]);
    },
  };
}

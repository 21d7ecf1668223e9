/**
 * Who uses the server: each process holds a shared advisory lock on a connection of its own, which ends with the
 * process however it ends. The last one to leave stops the server, and holds the lock alone while it does.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type Database } from '../connect.js';
import { failureOf } from '../failure.js';

/** The key of the lock: "cape" in ASCII, and 1 for this use of it. */
const LOCK = '1667330149, 1';

/** Tells the members' connections from those that do the work. */
const APPLICATION_NAME = 'cape-worker embedded';

/** A closed connection is seen for some milliseconds more, until its server process has ended. */
const CLIENTS_GONE_MS = 500;

/** A process's part in keeping the server up. */
export interface Membership {
  /**
   * Leaves. `stop` is called where nobody else uses the server; newcomers are kept waiting meanwhile.
   * A server that is gone, or was restarted under us, is no error.
   */
  leave(stop: () => Promise<unknown>): Promise<void>;
  /** Leaves the server as it is. */
  abandon(): Promise<void>;
}

/**
 * Joins the users of the server.
 * @throws what `failureOf` understands; `unreachable` where the server is going or gone: look again.
 */
export async function join(url: string): Promise<Membership> {
  const db = open(url);
  try {
    // Waits while a leaver makes up its mind, and fails if that stops the server.
    await db.query(`select pg_advisory_lock_shared(${LOCK})`);
  } catch (error) {
    await db.close();
    throw error;
  }
  return { leave: (stop) => leave(db, stop), abandon: () => db.close() };
}

async function leave(db: Database, stop: () => Promise<unknown>): Promise<void> {
  try {
    if (await isUnused(db)) await stop();
  } finally {
    await db.close();
  }
}

async function isUnused(db: Database): Promise<boolean> {
  try {
    return (await isLastMember(db)) && (await clientsLeft(db)) === 0;
  } catch (error) {
    if (failureOf(error).kind === 'unreachable') return false; // somebody stopped it: there is nothing to leave
    throw error;
  }
}

/** Gives up the shared lock and asks for it alone. Of several that leave at once, one of the last to ask gets it. */
async function isLastMember(db: Database): Promise<boolean> {
  await db.query(`select pg_advisory_unlock_shared(${LOCK})`);
  const [row] = await db.query<{ alone: boolean }>(`select pg_try_advisory_lock(${LOCK}) as alone`);
  return row?.alone === true;
}

/** The number of clients that are not members, once those on their way out are gone. */
async function clientsLeft(db: Database): Promise<number> {
  const deadline = performance.now() + CLIENTS_GONE_MS;
  for (;;) {
    const count = await countClients(db);
    if (count === 0 || performance.now() > deadline) return count;
    await sleep(10);
  }
}

async function countClients(db: Database): Promise<number> {
  const [row] = await db.query<{ clients: number }>(
    `select count(*)::int as clients from pg_stat_activity
      where backend_type = 'client backend' and application_name <> $1`,
    [APPLICATION_NAME],
  );
  return row?.clients ?? 0;
}

/** The number of connections to the server, those of the members for their membership left out. */
export async function clientsOf(url: string): Promise<number> {
  const db = open(url);
  try {
    return await countClients(db);
  } finally {
    await db.close();
  }
}

/** A single connection, which `connect` neither recycles nor opens again without being asked: the lock lives as long. */
function open(url: string): Database {
  return connect({ url, schema: 'public', applicationName: APPLICATION_NAME, connections: 1 });
}

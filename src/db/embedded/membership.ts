/**
 * Who uses the server: each process holds a shared advisory lock on a connection of its own, which ends with the
 * process however it ends. The last one to leave stops the server, and holds the lock alone while it does.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import postgres from 'postgres';
import { CapeError } from '../../core/errors.js';

/** The key of the lock: "cape" in ASCII, and 1 for this use of it. */
const LOCK = '1667330149, 1';

/** Of the members' connections, to tell them from the clients that do the work. */
const APPLICATION_NAME = 'cape-worker embedded';

/** A closed connection stays visible for some milliseconds until its server process has ended. */
const CLIENTS_GONE_MS = 500;

export interface Membership {
  /** Leaves; `stop` is called if nobody else uses the server, while newcomers are kept waiting. Never throws for a server that is gone. */
  leave(stop: () => Promise<unknown>): Promise<void>;
}

/** Joins the users of the server. Rejects with the driver's error where the server is going or gone: look again. */
export async function join(url: string): Promise<Membership> {
  const sql = open(url);
  try {
    // Blocks while a leaver makes up its mind, and fails if it decides to stop the server.
    await sql.unsafe(`select pg_advisory_lock_shared(${LOCK})`);
  } catch (error) {
    await sql.end({ timeout: 0 });
    throw error;
  }
  return { leave: (stop) => leave(sql, stop) };
}

async function leave(sql: postgres.Sql, stop: () => Promise<unknown>): Promise<void> {
  let last = false;
  try {
    last = (await isAlone(sql)) && (await clients(sql)) === 0;
  } catch (error) {
    if (error instanceof postgres.PostgresError && !error.code.startsWith('57P')) throw error;
    // The server was stopped or restarted under us: there is nothing to leave.
  }
  try {
    if (last) await stop();
  } finally {
    await sql.end({ timeout: 0 });
  }
}

/** Gives up the shared lock and asks for it alone. Of several that leave at once, the one that asks last succeeds. */
async function isAlone(sql: postgres.Sql): Promise<boolean> {
  await sql.unsafe(`select pg_advisory_unlock_shared(${LOCK})`);
  const [row] = await sql.unsafe(`select pg_try_advisory_lock(${LOCK}) as alone`);
  return row?.alone === true;
}

/** The number of clients that are not members, once those on their way out are gone. */
async function clients(sql: postgres.Sql): Promise<number> {
  const deadline = performance.now() + CLIENTS_GONE_MS;
  for (;;) {
    const count = await countClients(sql);
    if (count === 0 || performance.now() > deadline) return count;
    await sleep(10);
  }
}

async function countClients(sql: postgres.Sql): Promise<number> {
  const [row] = await sql.unsafe(
    `select count(*)::int as clients from pg_stat_activity
      where backend_type = 'client backend' and application_name <> '${APPLICATION_NAME}'`,
  );
  return row?.clients;
}

/** The number of connections that do work, for the status. */
export async function clientsOf(url: string): Promise<number> {
  const sql = open(url);
  try {
    return await countClients(sql);
  } finally {
    await sql.end({ timeout: 0 });
  }
}

function open(url: string): postgres.Sql {
  return postgres(url, {
    max: 1,
    fetch_types: false,
    connect_timeout: 5,
    idle_timeout: 0,
    max_lifetime: null, // the default recycles a connection after 30 to 60 minutes, and the lock with it
    connection: { application_name: APPLICATION_NAME, statement_timeout: 15_000 },
    onnotice: () => {},
  });
}

/** Whether the server refused the login itself, which trying again does not mend. */
export function isRefused(error: unknown): boolean {
  return error instanceof postgres.PostgresError && error.code.startsWith('28');
}

/** The error for a server that does not take our password. */
export function refused(passwordFile: string, error: unknown): CapeError {
  return new CapeError('database', `the embedded Postgres refuses the password in ${passwordFile}: restore that file`, {
    cause: error,
  });
}

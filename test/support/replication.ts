/**
 * A primary and a streaming standby. The standby is a cold copy of the primary, made while that is stopped: the Postgres
 * that comes with the package has no pg_basebackup, and for an empty database a copy is as good, and works everywhere.
 */
import { appendFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { migrate } from '../../src/db/migrate.js';
import { DATABASE, type Machine, PostgresServer } from './postgres-server.js';
import { until } from './until.js';

export interface Pair {
  readonly primary: PostgresServer;
  readonly standby: PostgresServer;
  /** `DATABASE_URL` with both servers, in the order given. */
  url(...order: PostgresServer[]): string;
  /** From now on a commit returns only when the standby has it on disk. */
  synchronous(): Promise<void>;
  /** The standby hears no more of the primary: what is committed from now on is lost with it. */
  cutOff(): Promise<void>;
  /** Makes the standby the primary; returns when it can be written to. */
  promote(): Promise<void>;
}

/** Starts both, with a migrated database, and waits until the standby follows. */
export async function startPair(machine: Machine, name: string): Promise<Pair> {
  const primary = await PostgresServer.at(machine, `${name}-primary`);
  const standby = await PostgresServer.at(machine, `${name}-standby`);
  await primary.initialise();
  await primary.start();
  await primary.ask((sql) => sql.unsafe(`create database ${DATABASE}`), 'postgres');
  await migrate({ url: primary.url(), schema: 'public' });
  await primary.stop();
  await copyAsStandby(primary, standby);
  await primary.start();
  await standby.start();
  await streaming(primary);
  return {
    primary,
    standby,
    url: (...order) =>
      `postgres://cape@${order.map(({ address }) => address).join(',')}/${DATABASE}?target_session_attrs=primary`,
    async synchronous() {
      await primary.ask(async (sql) => {
        await sql`alter system set synchronous_standby_names = '*'`;
        await sql`select pg_reload_conf()`;
      });
      await until(() =>
        primary.ask(async (sql) => (await sql`select from pg_stat_replication where sync_state = 'sync'`).length === 1),
      );
    },
    async cutOff() {
      await standby.ask(async (sql) => {
        await sql`alter system set primary_conninfo = ''`;
        await sql`select pg_reload_conf()`;
      });
      await until(() => primary.ask(async (sql) => (await sql`select from pg_stat_replication`).length === 0), {
        what: 'the end of replication',
      });
    },
    async promote() {
      await standby.ask((sql) => sql`select pg_promote(true, 60)`);
    },
  };
}

/** `of` must be stopped. */
export async function copyAsStandby(of: PostgresServer, standby: PostgresServer): Promise<void> {
  // cp keeps the owner, which matters under root; Node's own does not.
  await execa('cp', ['-a', of.cluster, standby.cluster]);
  await follow(standby, of);
}

/** Makes a stopped server a standby of another at its next start. */
export async function follow(standby: PostgresServer, of: PostgresServer): Promise<void> {
  const conninfo = `host=127.0.0.1 port=${of.port} user=cape application_name=standby`;
  await appendFile(join(standby.cluster, 'postgresql.auto.conf'), `primary_conninfo = '${conninfo}'\n`);
  await writeFile(join(standby.cluster, 'standby.signal'), '');
}

async function streaming(primary: PostgresServer): Promise<void> {
  await until(
    () =>
      primary.ask(async (sql) => (await sql`select from pg_stat_replication where state = 'streaming'`).length === 1),
    { what: 'the standby to follow', timeoutMs: 30_000 },
  );
}
